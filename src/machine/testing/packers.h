// The other direction of kernel_payload.h, for tests: packs as the kernel's build does.
#pragma once

#include <lz4hc.h>
#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

#include "machine/boot/kernel_payload.h"
#include "machine/testing/kernel_images.h"

namespace ringside::machine::testing {

inline Image pack_gzip(const Image& image) {
  z_stream stream{};
  deflateInit2(&stream, 6, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY);
  Image out(deflateBound(&stream, image.size()) + 64);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(image.data()));
  stream.avail_in = static_cast<uInt>(image.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

// The kernel's XZ has the x86 filter before LZMA2 and a CRC32; its LZMA is the .lzma file format.
inline Image pack_lzma(const Image& image, Compression compression) {
  lzma_options_lzma options;
  lzma_lzma_preset(&options, 1);
  lzma_filter filters[] = {
      {LZMA_FILTER_X86, nullptr}, {LZMA_FILTER_LZMA2, &options}, {LZMA_VLI_UNKNOWN, nullptr}};
  lzma_stream stream = LZMA_STREAM_INIT;
  const lzma_ret started = compression == Compression::Xz
                               ? lzma_stream_encoder(&stream, filters, LZMA_CHECK_CRC32)
                               : lzma_alone_encoder(&stream, &options);
  if (started != LZMA_OK) return {};
  Image out(image.size() * 2 + 4096);
  stream.next_in = reinterpret_cast<const std::uint8_t*>(image.data());
  stream.avail_in = image.size();
  stream.next_out = reinterpret_cast<std::uint8_t*>(out.data());
  stream.avail_out = out.size();
  while (lzma_code(&stream, LZMA_FINISH) == LZMA_OK) {
  }
  out.resize(stream.total_out);
  lzma_end(&stream);
  return out;
}

inline Image pack_zstd(const Image& image) {
  Image out(ZSTD_compressBound(image.size()));
  out.resize(ZSTD_compress(out.data(), out.size(), image.data(), image.size(), 3));
  return out;
}

inline Image pack_lz4(const Image& image) {
  constexpr std::size_t kBlock = 8u << 20;
  Image out;
  put<std::uint32_t>(out, 0, 0x184c2102);
  for (std::size_t at = 0; at < image.size(); at += kBlock) {
    const std::size_t size = std::min(kBlock, image.size() - at);
    Image block(static_cast<std::size_t>(LZ4_compressBound(static_cast<int>(size))));
    const int packed = LZ4_compress_default(reinterpret_cast<const char*>(&image[at]),
                                            reinterpret_cast<char*>(block.data()),
                                            static_cast<int>(size), static_cast<int>(block.size()));
    put(out, out.size(), static_cast<std::uint32_t>(packed));
    out.insert(out.end(), block.begin(), block.begin() + packed);
  }
  return out;
}

inline Image pack(const Image& image, Compression compression) {
  switch (compression) {
    case Compression::None:
      return image;
    case Compression::Gzip:
      return pack_gzip(image);
    case Compression::Xz:
    case Compression::Lzma:
      return pack_lzma(image, compression);
    case Compression::Zstd:
      return pack_zstd(image);
    case Compression::Lz4Legacy:
      return pack_lz4(image);
  }
  return {};
}

}  // namespace ringside::machine::testing
