// Where a virtual disk's bytes are. Calls are synchronous: the guest sees no time pass. Who has
// much to read or write does it in parts. Owned by who made the machine's options; must outlive the
// machine.
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
  // Within size(). False: an I/O error, which the guest sees as one.
  virtual bool read(std::uint64_t offset, std::span<std::byte> out) = 0;
  virtual bool write(std::uint64_t offset, std::span<const std::byte> data) = 0;
  enum class Flush : std::uint8_t {
    Done,  // all that was written is on stable storage
    Failed,
    UnderWay,  // some of it is; to be called again
  };
  virtual Flush flush() = 0;
};

// However long it takes.
inline bool flush_all(BlockBackend& disk) {
  BlockBackend::Flush flush = disk.flush();
  while (flush == BlockBackend::Flush::UnderWay)
    flush = disk.flush();
  return flush == BlockBackend::Flush::Done;
}

// A raw disk image. A size that is not a whole number of 512-byte sectors is an error. One that is
// opened for writing is locked against a second writer. Errors call it `what`.
Result<std::shared_ptr<BlockBackend>> open_raw_disk(const std::string& path, bool read_only,
                                                    std::string_view what = "disk image");

}  // namespace ringside::machine
