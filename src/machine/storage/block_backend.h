// Where a virtual disk's bytes are. The guest sees no time pass in a call. Who has much to read or
// write does it in parts. Owned by who made the machine's options; must outlive the machine.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

namespace ringside::machine {

class BlockBackend {
 public:
  virtual ~BlockBackend() = default;
  virtual std::uint64_t size() const = 0;  // bytes
  virtual bool read_only() const = 0;
  enum class Outcome : std::uint8_t {
    Done,
    Failed,    // an I/O error, which the guest sees as one
    UnderWay,  // the host is not ready yet: to be called again, in the same words
  };
  // Within size().
  virtual Outcome read(std::uint64_t offset, std::span<std::byte> out) = 0;
  virtual Outcome write(std::uint64_t offset, std::span<const std::byte> data) = 0;
  // What follows on the disk from `offset` on, into or from several pieces of memory, none of them
  // empty. How many bytes were moved, from the first on; what is behind them failed. What is
  // written has changed so many bytes of the disk, and no more; of a piece that is read in part all
  // may have changed. Not of a remote disk.
  using PiecesToFill = std::span<const std::span<std::byte>>;
  using PiecesOfData = std::span<const std::span<const std::byte>>;
  virtual std::uint64_t read_pieces(std::uint64_t offset, PiecesToFill pieces);
  virtual std::uint64_t write_pieces(std::uint64_t offset, PiecesOfData pieces);
  // From where on there may be something else than zeros; `offset` where nobody knows better,
  // size() where there is nothing more. Within size().
  virtual std::uint64_t after_hole(std::uint64_t offset) const { return offset; }
  // Done: all that was written is on stable storage.
  virtual Outcome flush() = 0;

  // What somebody else serves: reads and writes can be under way, not flushes alone.
  virtual bool is_remote() const { return false; }
  // Whoever serves it is gone for good: all that comes fails, reads, writes and flushes.
  virtual bool is_gone() const { return false; }
};

// One after the other, for disks that have nothing better.
inline std::uint64_t BlockBackend::read_pieces(std::uint64_t offset, PiecesToFill pieces) {
  std::uint64_t moved = 0;
  for (const std::span<std::byte> piece : pieces) {
    if (read(offset + moved, piece) != Outcome::Done) break;
    moved += piece.size();
  }
  return moved;
}
inline std::uint64_t BlockBackend::write_pieces(std::uint64_t offset, PiecesOfData pieces) {
  std::uint64_t moved = 0;
  for (const std::span<const std::byte> piece : pieces) {
    if (write(offset + moved, piece) != Outcome::Done) break;
    moved += piece.size();
  }
  return moved;
}
template <typename Pieces>
std::uint64_t size_of_all(const Pieces& pieces) {
  std::uint64_t size = 0;
  for (const auto& piece : pieces)
    size += piece.size();
  return size;
}

// However long it takes. Whether it could be done.
template <typename Call>
bool until_over(const Call& call) {
  BlockBackend::Outcome outcome = call();
  while (outcome == BlockBackend::Outcome::UnderWay)
    outcome = call();
  return outcome == BlockBackend::Outcome::Done;
}
inline bool read_all(BlockBackend& disk, std::uint64_t offset, std::span<std::byte> out) {
  return until_over([&] { return disk.read(offset, out); });
}
inline bool write_all(BlockBackend& disk, std::uint64_t offset, std::span<const std::byte> data) {
  return until_over([&] { return disk.write(offset, data); });
}
inline bool flush_all(BlockBackend& disk) {
  return until_over([&] { return disk.flush(); });
}

// A raw disk image. A size that is not a whole number of 512-byte sectors is an error. One that is
// opened for writing is locked against a second writer. Errors call it `what`.
Result<std::shared_ptr<BlockBackend>> open_raw_disk(const std::string& path, bool read_only,
                                                    std::string_view what = "disk image");

}  // namespace ringside::machine
