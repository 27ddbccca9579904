// Traces that a debugger has saved on this side (QTSave): where they may go.
#pragma once

#include <string>

#include "base/result.h"
#include "ringside/options.h"

namespace ringside::cli {

// `name` in an open directory; a trace that is there is replaced, and nothing else.
Result<void> save_trace(int directory, const std::string& name,
                        const debug::ServerOptions::ReadPiece& read);

}  // namespace ringside::cli
