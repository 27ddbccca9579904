#include "time/saved/saved_machine.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cerrno>
#include <system_error>
#include <thread>
#include <utility>

#include "base/state_bytes.h"

namespace ringside::time {
namespace {

// Names of eight disks, and little else.
constexpr std::uint32_t kMostDescription = 64u << 10;

template <typename T>
std::span<std::byte> bytes_of(T& value) {
  return std::as_writable_bytes(std::span(&value, 1));
}

}  // namespace

tl::unexpected<Error> SavedMachine::damaged() const {
  return fail(ErrorCode::BadRequest,
              fmt::format("the saved machine '{}' is damaged or cut off", path_));
}

Result<SavedMachine> SavedMachine::open(const std::string& path) {
  const std::string name = fmt::format("cannot read the saved machine '{}'", path);
  SavedMachine saved(Fd(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC)), path);
  struct stat status {};
  if (!saved.file_ || ::fstat(saved.file_.get(), &status) != 0)
    return fail(Error::from_errno(name, errno));
  if (!S_ISREG(status.st_mode)) return fail(ErrorCode::BadRequest, name + ": it is not a file");
  saved.size_ = static_cast<std::uint64_t>(status.st_size);
  TRY(saved.read_frame());
  return saved;
}

Result<void> SavedMachine::read(std::uint64_t at, std::span<std::byte> into) const {
  while (!into.empty()) {
    const ssize_t count = ::pread(file_.get(), into.data(), into.size(), static_cast<off_t>(at));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) {
      return fail(
          Error::from_errno(fmt::format("cannot read the saved machine '{}'", path_), errno));
    }
    if (count == 0) return damaged();
    into = into.subspan(static_cast<std::size_t>(count));
    at += static_cast<std::uint64_t>(count);
  }
  return {};
}

// `size` is within the file.
Result<std::vector<std::byte>> SavedMachine::read_hashed(std::uint64_t at, std::uint64_t size,
                                                         std::uint64_t hash) const {
  std::vector<std::byte> bytes(size);
  TRY(read(at, bytes));
  if (saved_hash(bytes) != hash) return damaged();
  return bytes;
}

Result<void> SavedMachine::read_frame() {
  SavedHeader header;
  header.magic = {};
  const std::span<std::byte> head = bytes_of(header);
  TRY(read(0, head.first(std::min<std::uint64_t>(head.size(), size_))));
  if (header.magic != kSavedMagic) {
    return fail(ErrorCode::BadRequest, fmt::format("'{}' is not a saved machine", path_));
  }
  if (size_ < sizeof(SavedHeader) + sizeof(SavedTrailer)) return damaged();
  if (header.version != kSavedVersion) {
    return fail(ErrorCode::BadRequest,
                fmt::format("the saved machine '{}' has format {}, of another version of ringside; "
                            "this one reads format {}",
                            path_, header.version, kSavedVersion));
  }
  TRY(read(size_ - sizeof(SavedTrailer), bytes_of(trailer_)));
  if (trailer_.magic != kSavedMagic || trailer_.hash != hash_of_frame(header, trailer_))
    return damaged();
  // All that there is between header and trailer is accounted for.
  std::uint64_t left = size_ - sizeof(SavedHeader) - sizeof(SavedTrailer);
  if (header.description_size > std::min<std::uint64_t>(left, kMostDescription)) return damaged();
  left -= header.description_size;
  if (trailer_.chunks > left / sizeof(SavedChunk)) return damaged();
  left -= trailer_.chunks * sizeof(SavedChunk);
  if (trailer_.state_size > left) return damaged();
  left -= trailer_.state_size;
  const std::uint64_t chunks_at = sizeof(SavedHeader) + header.description_size;
  if (trailer_.state_at != chunks_at + left) return damaged();

  const std::vector<std::byte> description =
      TRY(read_hashed(sizeof(SavedHeader), header.description_size, header.description_hash));
  StateLoader loader(description);
  options_.visit(loader);
  if (!loader.finished()) return damaged();
  return read_index(chunks_at);
}

Result<void> SavedMachine::read_index(std::uint64_t at) {
  const std::vector<std::byte> index =
      TRY(read_hashed(trailer_.state_at + trailer_.state_size, trailer_.chunks * sizeof(SavedChunk),
                      trailer_.index_hash));
  StateLoader loader(index);
  chunks_.resize(trailer_.chunks);
  std::uint64_t free = 0;  // memory from here on
  for (Chunk& chunk : chunks_) {
    loader.field(chunk.entry);
    chunk.at = at;
    const SavedChunk& entry = chunk.entry;
    if (entry.pages == 0 || entry.packed_size > most_packed_bytes() ||
        entry.packed_size > trailer_.state_at - at || entry.base < free ||
        entry.base > kNever.ns - SavedChunk::kSize)
      return damaged();
    at += entry.packed_size;
    free = entry.base + static_cast<std::uint64_t>(std::bit_width(entry.pages)) * kPageSize;
  }
  return at == trailer_.state_at ? Result<void>() : damaged();
}

Result<void> SavedMachine::load_memory(hypervisor::GuestRam& ram,
                                       const Meanwhile& meanwhile) const {
  for (const SavedRom& rom : options_.roms)
    TRY(ram.add_rom(rom.base, std::vector<std::byte>(rom.size)));
  return load_chunks(ram, meanwhile);
}

// On two threads. `meanwhile` is called on this one.
Result<void> SavedMachine::load_chunks(const hypervisor::GuestRam& ram,
                                       const Meanwhile& meanwhile) const {
  std::atomic<std::size_t> next = 0;
  std::atomic<bool> failed = false;
  const auto work = [&](const Meanwhile& told) -> Result<void> {
    PageUnpacker unpacker(ram);
    std::vector<std::byte> packed(most_packed_bytes());
    for (;;) {
      const std::size_t i = next++;
      if (i >= chunks_.size() || failed) return {};
      const Chunk& chunk = chunks_[i];
      const std::span<std::byte> bytes = std::span(packed).first(chunk.entry.packed_size);
      if (!read(chunk.at, bytes) || !unpacker.unpack(chunk.entry, bytes)) failed = true;
      if (!told) continue;
      Result<void> goes_on = told({"restoring", chunk.at, trailer_.state_at});
      if (goes_on) continue;
      failed = true;
      return goes_on;
    }
  };
  std::thread helper;
  try {
    if (chunks_.size() > 1) helper = std::thread([&] { (void)work({}); });
  } catch (const std::system_error&) {
    // A process that may have no more threads does all of it on this one.
  }
  const Result<void> not_given_up = work(meanwhile);
  if (helper.joinable()) helper.join();
  TRY(not_given_up);
  return failed ? damaged() : Result<void>();
}

Result<void> SavedMachine::load_state(hypervisor::Recordable& engine,
                                      machine::Machine& machine) const {
  const std::vector<std::byte> state =
      TRY(read_hashed(trailer_.state_at, trailer_.state_size, trailer_.state_hash));
  StateLoader loader(state);
  engine.visit_processors(loader);
  machine.visit_state(loader);
  if (!loader.finished() || !engine.set_progress(options_.at.progress)) return damaged();
  return {};
}

}  // namespace ringside::time
