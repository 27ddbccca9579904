// Reads a file that MachineSaver has written (saved_format.h). What is wrong with one is a sentence
// that names it; no length in it is believed, and no memory is taken that the file does not fill.
//
// Belongs to the main thread; guest memory is unpacked on a second one, too.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "base/stage.h"
#include "machine/machine.h"
#include "platform/guest_ram.h"
#include "platform/recordable.h"
#include "time/saved/saved_format.h"
#include "time/saved/saved_options.h"

namespace ringside::time {

class SavedMachine {
 public:
  static Result<SavedMachine> open(const std::string& path);

  const SavedOptions& options() const { return options_; }
  // Into memory of options().memory bytes that nobody has written to yet; the ROM is added.
  Result<void> load_memory(hypervisor::GuestRam& ram, const Meanwhile& meanwhile = {}) const;
  // Into an engine and a machine that have these options and that memory, before the first
  // instruction. After an error neither is of any use.
  Result<void> load_state(hypervisor::Recordable& engine, machine::Machine& machine) const;

 private:
  SavedMachine(Fd file, std::string path) : file_(std::move(file)), path_(std::move(path)) {}
  Result<void> read_frame();
  Result<void> read_index(std::uint64_t at);
  Result<void> read(std::uint64_t at, std::span<std::byte> into) const;
  Result<std::vector<std::byte>> read_hashed(std::uint64_t at, std::uint64_t size,
                                             std::uint64_t hash) const;
  Result<void> load_chunks(const hypervisor::GuestRam& ram, const Meanwhile& meanwhile) const;
  tl::unexpected<Error> damaged() const;

  Fd file_;
  std::string path_;
  std::uint64_t size_ = 0;  // of the file
  SavedOptions options_;
  SavedTrailer trailer_;
  struct Chunk {
    SavedChunk entry;
    std::uint64_t at;  // in the file
  };
  std::vector<Chunk> chunks_;
};

}  // namespace ringside::time
