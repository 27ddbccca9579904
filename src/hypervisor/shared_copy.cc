#include "hypervisor/shared_copy.h"

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

// std::atomic_ref takes no constant object before C++26.
template <typename Word>
void load(std::byte* to, const std::uint8_t* from) {
  const Word word = __atomic_load_n(reinterpret_cast<const Word*>(from), __ATOMIC_RELAXED);
  std::memcpy(to, &word, sizeof word);
}

template <typename Word>
void store(std::uint8_t* to, const std::byte* from) {
  Word word;
  std::memcpy(&word, from, sizeof word);
  __atomic_store_n(reinterpret_cast<Word*>(to), word, __ATOMIC_RELAXED);
}

}  // namespace

void copy_from_shared(std::span<std::byte> to, const std::uint8_t* from) {
  for (std::size_t done = 0, width = 0; done < to.size(); done += width) {
    width = width_at(from + done, to.size() - done);
    switch (width) {
      case 8:
        load<std::uint64_t>(&to[done], from + done);
        break;
      case 4:
        load<std::uint32_t>(&to[done], from + done);
        break;
      case 2:
        load<std::uint16_t>(&to[done], from + done);
        break;
      default:
        load<std::uint8_t>(&to[done], from + done);
        break;
    }
  }
}

void copy_to_shared(std::uint8_t* to, std::span<const std::byte> from) {
  for (std::size_t done = 0, width = 0; done < from.size(); done += width) {
    width = width_at(to + done, from.size() - done);
    switch (width) {
      case 8:
        store<std::uint64_t>(to + done, &from[done]);
        break;
      case 4:
        store<std::uint32_t>(to + done, &from[done]);
        break;
      case 2:
        store<std::uint16_t>(to + done, &from[done]);
        break;
      default:
        store<std::uint8_t>(to + done, &from[done]);
        break;
    }
  }
}

}  // namespace ringside::hypervisor
