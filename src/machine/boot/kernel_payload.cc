#include "machine/boot/kernel_payload.h"

#include <fmt/format.h>
#include <lz4.h>
#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <array>
#include <functional>
#include <memory>

namespace ringside::machine {
namespace {

using Buffer = std::vector<std::byte>;

struct Magic {
  Compression compression;
  std::string_view name;
  std::string_view bytes;
};
constexpr std::array<Magic, 6> kMagic = {{
    {Compression::None,
     "uncompressed",
     {"\x7f"
      "ELF",
      4}},
    {Compression::Gzip, "gzip", {"\x1f\x8b\x08", 3}},
    {Compression::Xz,
     "XZ",
     {"\xfd"
      "7zXZ\0",
      6}},
    {Compression::Lzma, "LZMA", {"\x5d\0\0", 3}},
    {Compression::Zstd, "Zstandard", {"\x28\xb5\x2f\xfd", 4}},
    {Compression::Lz4Legacy, "LZ4", {"\x02\x21\x4c\x18", 4}},
}};

Error damaged(Compression compression, std::string_view why) {
  return Error(ErrorCode::BadRequest,
               fmt::format("{} data is damaged: {}", compression_name(compression), why));
}

Error too_large(std::size_t limit) {
  return Error(ErrorCode::BadRequest, fmt::format("unpacks to more than {}M", limit >> 20));
}

enum class Step { More, End, Damaged };

// Drives a streaming decoder. `decode(out)` appends to the space it is given, says how many bytes
// it wrote, and whether it wants another turn; one that writes nothing and wants more is stuck at
// the end of its input.
Result<Buffer> collect(
    Compression compression, std::size_t limit, const Meanwhile& meanwhile,
    const std::function<Step(std::span<std::byte>, std::size_t& written)>& decode) {
  constexpr std::size_t kFirst = 256u << 10, kTurn = 1u << 20;
  Buffer out(std::min(kFirst, limit));
  std::size_t used = 0;
  for (;;) {
    if (used == out.size()) {
      if (used == limit) return fail(too_large(limit));
      out.resize(std::min(limit, out.size() * 2));
    }
    std::size_t written = 0;
    const Step step =
        decode(std::span(out).subspan(used, std::min(kTurn, out.size() - used)), written);
    used += written;
    if (meanwhile) TRY(meanwhile({kUnpacking, used}));
    if (step == Step::Damaged) return fail(damaged(compression, "it cannot be unpacked"));
    if (step == Step::End) break;
    if (written == 0) return fail(damaged(compression, "it ends too early"));
  }
  out.resize(used);
  return out;
}

Result<Buffer> unpack_gzip(Bytes payload, std::size_t limit, const Meanwhile& meanwhile) {
  z_stream stream{};
  constexpr int kGzipOnly = 16;
  if (inflateInit2(&stream, MAX_WBITS + kGzipOnly) != Z_OK) {
    return fail(ErrorCode::System, "zlib cannot start");
  }
  const std::unique_ptr<z_stream, int (*)(z_stream*)> guard(&stream, inflateEnd);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(payload.data()));
  stream.avail_in = static_cast<uInt>(payload.size());
  return collect(Compression::Gzip, limit, meanwhile,
                 [&](std::span<std::byte> out, std::size_t& written) {
                   stream.next_out = reinterpret_cast<Bytef*>(out.data());
                   stream.avail_out = static_cast<uInt>(out.size());
                   const int result = inflate(&stream, Z_NO_FLUSH);
                   written = out.size() - stream.avail_out;
                   if (result == Z_STREAM_END) return Step::End;
                   return result == Z_OK || result == Z_BUF_ERROR ? Step::More : Step::Damaged;
                 });
}

Result<Buffer> unpack_lzma(Bytes payload, Compression compression, std::size_t limit,
                           const Meanwhile& meanwhile) {
  constexpr std::uint64_t kDecoderMemory = 1u << 30;
  lzma_stream stream = LZMA_STREAM_INIT;
  const lzma_ret started = compression == Compression::Xz
                               ? lzma_stream_decoder(&stream, kDecoderMemory, 0)
                               : lzma_alone_decoder(&stream, kDecoderMemory);
  if (started != LZMA_OK) return fail(ErrorCode::System, "liblzma cannot start");
  const std::unique_ptr<lzma_stream, void (*)(lzma_stream*)> guard(&stream, lzma_end);
  stream.next_in = reinterpret_cast<const std::uint8_t*>(payload.data());
  stream.avail_in = payload.size();
  return collect(
      compression, limit, meanwhile, [&](std::span<std::byte> out, std::size_t& written) {
        stream.next_out = reinterpret_cast<std::uint8_t*>(out.data());
        stream.avail_out = out.size();
        const lzma_ret result = lzma_code(&stream, LZMA_RUN);
        written = out.size() - stream.avail_out;
        if (result == LZMA_STREAM_END) return Step::End;
        return result == LZMA_OK || result == LZMA_BUF_ERROR ? Step::More : Step::Damaged;
      });
}

Result<Buffer> unpack_zstd(Bytes payload, std::size_t limit, const Meanwhile& meanwhile) {
  const std::unique_ptr<ZSTD_DCtx, std::size_t (*)(ZSTD_DCtx*)> context(ZSTD_createDCtx(),
                                                                        ZSTD_freeDCtx);
  if (context == nullptr) return fail(ErrorCode::System, "zstd cannot start");
  // Linux packs with a window of up to 128 MiB.
  constexpr int kWindowLog = 27;
  ZSTD_DCtx_setParameter(context.get(), ZSTD_d_windowLogMax, kWindowLog);
  ZSTD_inBuffer in{payload.data(), payload.size(), 0};
  return collect(Compression::Zstd, limit, meanwhile,
                 [&](std::span<std::byte> space, std::size_t& written) {
                   ZSTD_outBuffer out{space.data(), space.size(), 0};
                   const std::size_t result = ZSTD_decompressStream(context.get(), &out, &in);
                   written = out.pos;
                   if (ZSTD_isError(result) != 0) return Step::Damaged;
                   return result == 0 ? Step::End : Step::More;
                 });
}

// The legacy frame: the magic, then blocks of a 32-bit length and that many bytes, each of which
// unpacks to at most 8 MiB and, since a byte of a length field counts 255 bytes at most (LZ4 block
// format), to less than 256 times its size. It has no end mark: a length that cannot be one (the
// unpacked size that Linux appends) or the end of the data ends it.
Result<Buffer> unpack_lz4(Bytes payload, std::size_t limit, const Meanwhile& meanwhile) {
  constexpr std::size_t kBlock = 8u << 20;
  Buffer out;
  std::uint64_t at = 4;
  while (const auto length = read_at<std::uint32_t>(payload, at)) {
    if (at + 4 == payload.size()) break;
    const std::optional<Bytes> block = slice(payload, at + 4, *length);
    if (!block || *length > static_cast<std::uint32_t>(LZ4_compressBound(kBlock))) {
      return fail(damaged(Compression::Lz4Legacy, "it ends too early"));
    }
    const std::size_t before = out.size();
    const std::size_t most = std::min(kBlock, std::size_t{*length} * 256);
    const std::size_t room = std::min(most, limit - before);
    out.resize(before + room);
    const int written = LZ4_decompress_safe(reinterpret_cast<const char*>(block->data()),
                                            reinterpret_cast<char*>(out.data() + before),
                                            static_cast<int>(*length), static_cast<int>(room));
    if (written < 0 && room < most) return fail(too_large(limit));
    if (written < 0) return fail(damaged(Compression::Lz4Legacy, "it cannot be unpacked"));
    out.resize(before + static_cast<std::size_t>(written));
    at += 4 + std::uint64_t{*length};
    if (meanwhile) TRY(meanwhile({kUnpacking, out.size()}));
  }
  if (out.empty()) return fail(damaged(Compression::Lz4Legacy, "it ends too early"));
  return out;
}

}  // namespace

std::string_view compression_name(Compression compression) {
  for (const Magic& magic : kMagic) {
    if (magic.compression == compression) return magic.name;
  }
  return "unknown";
}

std::optional<Compression> detect_compression(Bytes payload) {
  for (const Magic& magic : kMagic) {
    if (payload.size() >= magic.bytes.size() &&
        std::memcmp(payload.data(), magic.bytes.data(), magic.bytes.size()) == 0) {
      return magic.compression;
    }
  }
  return std::nullopt;
}

Result<std::vector<std::byte>> unpack(Bytes payload, Compression compression, std::size_t limit,
                                      const Meanwhile& meanwhile) {
  switch (compression) {
    case Compression::None:
      if (payload.size() > limit) return fail(too_large(limit));
      return Buffer(payload.begin(), payload.end());
    case Compression::Gzip:
      return unpack_gzip(payload, limit, meanwhile);
    case Compression::Xz:
    case Compression::Lzma:
      return unpack_lzma(payload, compression, limit, meanwhile);
    case Compression::Zstd:
      return unpack_zstd(payload, limit, meanwhile);
    case Compression::Lz4Legacy:
      return unpack_lz4(payload, limit, meanwhile);
  }
  return fail(ErrorCode::NotSupported, "unknown compression");
}

}  // namespace ringside::machine
