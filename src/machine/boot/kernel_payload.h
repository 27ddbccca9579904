// The compressed kernel inside a bzImage, unpacked on the host: minutes of guest time saved on the
// software CPU.
#pragma once

#include <functional>
#include <optional>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "machine/boot/boot.h"
#include "machine/boot/boot_image.h"

namespace ringside::machine {

// What `meanwhile` is told of it.
inline constexpr std::string_view kUnpacking = "unpacking the kernel";

enum class Compression { None, Gzip, Xz, Lzma, Zstd, Lz4Legacy };

std::string_view compression_name(Compression compression);
// By content; nothing where it is none that can be unpacked here.
std::optional<Compression> detect_compression(Bytes payload);
// Bytes after the end of the stream are ignored (Linux appends the unpacked size). Unpacks to at
// most `limit` bytes; an error is one of the file, in words. It may take seconds: `meanwhile` is
// called after each MiB or so.
Result<std::vector<std::byte>> unpack(Bytes payload, Compression compression, std::size_t limit,
                                      const Meanwhile& meanwhile = {});

}  // namespace ringside::machine
