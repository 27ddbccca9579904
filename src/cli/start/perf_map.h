// The file in which perf(1) looks for the names of code that no program on disk has: a line "START
// SIZE NAME" for each piece, the numbers in hexadecimal. It says what the memory for host code has
// now: when all of that is thrown away, the file is emptied, so that it cannot grow without bound.
// It stays when the process ends, for `perf report`. Main thread.
#pragma once

#include <string>

#include "base/fd.h"
#include "base/result.h"
#include "engine/soft/translate/host_code_listener.h"

namespace ringside::cli {

class PerfMap final : public soft::HostCodeListener {
 public:
  // Where perf looks for this process's.
  static std::string usual_path();
  // The folder may be one that everybody writes to: an older file of this user goes, and is never
  // written to; anybody else's is an error, and links are not followed.
  static Result<PerfMap> create(const std::string& path);

  void written(const void* start, std::size_t size, std::string_view name) override;
  void thrown_away() override;

 private:
  PerfMap(Fd file, std::string path) : file_(std::move(file)), path_(std::move(path)) {}
  void give_up();

  Fd file_;  // none after an error
  std::string path_;
};

}  // namespace ringside::cli
