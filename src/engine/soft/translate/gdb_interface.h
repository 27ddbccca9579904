// Tells a debugger of this process which code no file on disk has, by the interface that GDB has
// for such ("JIT Compilation Interface" in its manual; LLDB has it too). A debugger that comes
// later finds what is told at the time.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

namespace ringside::soft {

// An object file that a debugger may read while this lives. Any thread.
class GdbObjectFile {
 public:
  explicit GdbObjectFile(std::vector<std::uint8_t> image);
  GdbObjectFile(const GdbObjectFile&) = delete;
  GdbObjectFile& operator=(const GdbObjectFile&) = delete;
  ~GdbObjectFile();

 private:
  struct Entry;
  std::unique_ptr<Entry> entry_;
};

}  // namespace ringside::soft
