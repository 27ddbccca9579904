#include "cli/save_trace.h"

#include <unistd.h>

#include <cstring>
#include <string_view>

#include "base/file_place.h"
#include "base/whole_file.h"

namespace ringside::cli {
namespace {

// GDB manual, "Trace File Format".
bool is_trace(int file) {
  constexpr std::string_view kBegin = "\x7fTRACE0\n";
  char begin[kBegin.size()];
  return ::pread(file, begin, sizeof begin, 0) == static_cast<ssize_t>(sizeof begin) &&
         std::memcmp(begin, kBegin.data(), sizeof begin) == 0;
}

}  // namespace

Result<void> save_trace(int directory, const std::string& name,
                        const debug::ServerOptions::ReadPiece& read) {
  TRY(check_file_place(directory, name, is_trace, "a trace"));
  WholeFile file = TRY(WholeFile::create(directory, name, name));
  for (std::uint64_t offset = 0;;) {
    const std::vector<std::byte> piece = read(offset);
    if (piece.empty()) return file.finish();
    TRY(file.write(piece));
    offset += piece.size();
  }
}

}  // namespace ringside::cli
