#include "platform/shared_copy.h"

#include <cstring>

namespace ringside::hypervisor {
namespace {

// The widest word that begins at `shared` and has no more than `left` bytes.
std::size_t width_at(const std::uint8_t* shared, std::size_t left) {
  std::size_t width = 8;
  while (width > left || reinterpret_cast<std::uintptr_t>(shared) % width != 0)
    width /= 2;
  return width;
}

// Calls move.operator()<Word>(offset) for each word of `size` bytes at `shared`.
template <typename Move>
void by_words(const std::uint8_t* shared, std::size_t size, Move move) {
  for (std::size_t done = 0, width = 0; done < size; done += width) {
    width = width_at(shared + done, size - done);
    switch (width) {
      case 8:
        // The next one is aligned too.
        for (; size - done >= 2 * width; done += width)
          move.template operator()<std::uint64_t>(done);
        move.template operator()<std::uint64_t>(done);
        break;
      case 4:
        move.template operator()<std::uint32_t>(done);
        break;
      case 2:
        move.template operator()<std::uint16_t>(done);
        break;
      default:
        move.template operator()<std::uint8_t>(done);
        break;
    }
  }
}

}  // namespace

// std::atomic_ref takes no constant object before C++26.
void copy_from_shared(std::span<std::byte> to, const std::uint8_t* from) {
  by_words(from, to.size(), [&]<typename Word>(std::size_t at) {
    const auto* shared = reinterpret_cast<const Word*>(from + at);
    const Word word = __atomic_load_n(shared, __ATOMIC_RELAXED);
    std::memcpy(&to[at], &word, sizeof word);
  });
}

void copy_to_shared(std::uint8_t* to, std::span<const std::byte> from) {
  by_words(to, from.size(), [&]<typename Word>(std::size_t at) {
    Word word;
    std::memcpy(&word, &from[at], sizeof word);
    __atomic_store_n(reinterpret_cast<Word*>(to + at), word, __ATOMIC_RELAXED);
  });
}

}  // namespace ringside::hypervisor
