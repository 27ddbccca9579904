// Multiboot 2 kernels built by hand, as kernel_images.h builds others.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "machine/testing/kernel_images.h"

namespace ringside::machine::testing {

inline constexpr std::array<std::byte, 4> kMultiboot2Magic = {std::byte{0xd6}, std::byte{0x50},
                                                              std::byte{0x52}, std::byte{0xe8}};

struct HeaderTag {
  std::uint16_t type = 0, flags = 0;
  std::vector<std::uint32_t> words = {};
};

// A segment's content that begins with a header of these tags, and the tag that ends it.
inline Image multiboot2_content(std::vector<HeaderTag> tags, std::size_t size = 0) {
  tags.push_back({});
  Image content(16);
  for (const HeaderTag& tag : tags) {
    const std::size_t at = content.size();
    put(content, at, tag.type);
    put(content, at + 2, tag.flags);
    put(content, at + 4, static_cast<std::uint32_t>(8 + 4 * tag.words.size()));
    for (const std::uint32_t word : tag.words)
      put(content, content.size(), word);
    content.resize((content.size() + 7) / 8 * 8);
  }
  constexpr std::uint32_t kMagic = 0xe85250d6;
  const auto length = static_cast<std::uint32_t>(content.size());
  put(content, 0, kMagic);
  put(content, 8, length);
  put(content, 12, 0u - kMagic - length);
  if (content.size() < size) content.resize(size);
  return content;
}

}  // namespace ringside::machine::testing
