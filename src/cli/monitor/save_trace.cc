#include "cli/monitor/save_trace.h"

#include "base/whole_file.h"

namespace ringside::cli {
Result<void> save_trace(Folder& folder, const std::string& name,
                        const debug::ServerOptions::ReadPiece& read) {
  WholeFile file = TRY(WholeFile::create(folder, name, FileKind::Trace));
  for (std::uint64_t offset = 0;;) {
    const std::vector<std::byte> piece = read(offset);
    if (piece.empty()) return file.finish();
    TRY(file.write(piece));
    offset += piece.size();
  }
}

}  // namespace ringside::cli
