// QEMU's emulator (TCG) as the other processor: runs a memory image from the reset vector on, and
// tells its registers before each instruction. Owned by one test; its end kills the child.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "lockstep/fields.h"
#include "support/child_process.h"

namespace ringside::testing {

class QemuTrace {
 public:
  struct Machine {
    std::string memory_file;  // all of RAM, from address 0
    std::uint64_t memory_size = 0;
    std::string firmware_file;   // ends at 4 GiB, and is seen below 1 MiB too
    std::string cpu;             // -cpu
    bool floating_point = true;  // show x87 and SSE registers, which is half of the work
  };
  explicit QemuTrace(const Machine& machine, const std::string& fifo);
  ~QemuTrace();

  // The registers before the next instruction; nothing at the end. Skips those that are still at
  // `repeating`: QEMU shows each iteration of a repeated instruction, and there may be millions.
  std::optional<Fields> next(std::optional<std::uint64_t> repeating = std::nullopt);
  std::string errors() { return process_->text(ChildProcess::Stream::Error); }

 private:
  bool read_line(std::string_view& line);
  bool fill();
  bool read_record();
  static void parse(std::string_view line, Fields& fields);

  std::string fifo_;
  Fd trace_;
  std::unique_ptr<ChildProcess> process_;
  std::string buffer_;
  std::size_t at_ = 0;
  std::string record_;     // the lines of one
  std::string next_line_;  // the first of the following one
  bool begun_ = false;
};

}  // namespace ringside::testing
