// Traces that a debugger has saved on this side (QTSave): where they may go.
#pragma once

#include <string>

#include "base/folder.h"
#include "base/result.h"
#include "ringside/options.h"

namespace ringside::cli {

// A trace that is there is replaced, and nothing else.
Result<void> save_trace(Folder& folder, const std::string& name,
                        const debug::ServerOptions::ReadPiece& read);

}  // namespace ringside::cli
