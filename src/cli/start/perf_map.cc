#include "cli/start/perf_map.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <span>

#include "base/log.h"
#include "base/write_all.h"

namespace ringside::cli {

std::string PerfMap::usual_path() { return fmt::format("/tmp/perf-{}.map", ::getpid()); }

Result<PerfMap> PerfMap::create(const std::string& path) {
  struct stat old {};
  if (::lstat(path.c_str(), &old) == 0 && old.st_uid == ::geteuid()) ::unlink(path.c_str());
  constexpr int kNewOnly = O_CREAT | O_EXCL | O_NOFOLLOW;
  Fd file(::open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC | kNewOnly, 0600));
  if (!file) return fail(Error::from_errno(fmt::format("--perf-map: {}", path), errno));
  return PerfMap(std::move(file), path);
}

// Each line at once: a process that is killed leaves a whole file.
void PerfMap::written(const void* start, std::size_t size, std::string_view name) {
  if (!file_) return;
  const std::string line =
      fmt::format("{:x} {:x} {}\n", reinterpret_cast<std::uintptr_t>(start), size, name);
  if (!write_all(file_, std::as_bytes(std::span(line)))) give_up();
}

void PerfMap::thrown_away() {
  if (file_ && ::ftruncate(file_.get(), 0) != 0) give_up();
}

void PerfMap::give_up() {
  log::warning("{}; no more code is named in it",
               Error::from_errno(fmt::format("--perf-map: {}", path_), errno).text());
  file_.reset();
}

}  // namespace ringside::cli
