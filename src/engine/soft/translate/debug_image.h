// Host code as an object file in memory, as debuggers want it of code that no file on disk has:
// where it lies, what its parts are called, and how to find the callers. It has no code in it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "engine/soft/translate/emitter/host_frames.h"

namespace ringside::soft {

struct CodePart {
  std::string name;
  std::size_t position = 0, size = 0;
};

// ELF for x86-64 with .text (its addresses only), .debug_frame and .symtab. Positions count from
// `start`; `size` is that of all code, now and later.
std::vector<std::uint8_t> debug_image(std::uint64_t start, std::size_t size,
                                      std::span<const CodePart> parts,
                                      std::span<const FrameRow> frames);

}  // namespace ringside::soft
