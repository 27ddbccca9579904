#include "machine/boot/multiboot2_header.h"

#include <fmt/format.h>

#include <algorithm>

namespace ringside::machine {
namespace {

constexpr std::uint32_t kMagic = 0xe85250d6;
constexpr std::uint64_t kSearchEnd = 32768, kAlignment = 8;
constexpr std::uint32_t kI386 = 0;

struct Fixed {
  std::uint32_t magic, architecture, size, checksum;
};

struct Tag {
  std::uint16_t type, flags;
  std::uint32_t size;
};
constexpr std::uint16_t kOptional = 1;  // flags: the loader may ignore it

enum TagType : std::uint16_t {
  kEnd = 0,
  kInformation = 1,
  kAddresses = 2,
  kEntry = 3,
  kConsole = 4,
  kFramebuffer = 5,
  kModuleAlignment = 6,
  kEfiBootServices = 7,
  kEfiEntry32 = 8,
  kEfiEntry64 = 9,
  kRelocatable = 10,
};

template <typename... Args>
tl::unexpected<Error> bad(fmt::format_string<Args...> format, Args&&... args) {
  return fail(ErrorCode::BadRequest, fmt::format(format, std::forward<Args>(args)...));
}

// 3.1.4: no kind of information that the specification knows is promised to be there, others
// cannot be.
Result<void> check_information(Bytes tag) {
  constexpr std::uint32_t kLastKnown = 21;
  for (std::uint64_t at = sizeof(Tag); const auto type = read_at<std::uint32_t>(tag, at);
       at += sizeof *type) {
    if (*type > kLastKnown) return bad("requires information of type {}, which is unknown", *type);
  }
  return {};
}

Result<void> take_console(Bytes tag, Multiboot2Header& header) {
  constexpr std::uint32_t kRequired = 1, kText = 2;
  const auto flags = read_at<std::uint32_t>(tag, sizeof(Tag));
  if (!flags) return bad("has a header tag for consoles that is cut short");
  header.requires_console = (*flags & kRequired) != 0;
  header.shows_text = (*flags & kText) != 0;
  return {};
}

Result<void> take_relocation(Bytes tag, Multiboot2Header& header) {
  const auto relocation = read_at<Relocation>(tag, sizeof(Tag));
  if (!relocation) return bad("has a header tag for relocation that is cut short");
  header.relocation = *relocation;
  header.relocation->alignment = std::max(relocation->alignment, 1u);
  return {};
}

// One tag's part of the header.
Result<void> take(Bytes bytes, const Tag& tag, Multiboot2Header& header) {
  const bool is_optional = (tag.flags & kOptional) != 0;
  switch (tag.type) {
    case kInformation:
      return is_optional ? Result<void>{} : check_information(bytes);
    case kAddresses:
      header.addresses = read_at<LoadAddresses>(bytes, sizeof tag);
      if (!header.addresses) return bad("has a header tag for addresses that is cut short");
      return {};
    case kEntry:
      header.entry = read_at<std::uint32_t>(bytes, sizeof tag);
      if (!header.entry) return bad("has a header tag for its entry that is cut short");
      return {};
    case kConsole:
      return is_optional ? Result<void>{} : take_console(bytes, header);
    case kRelocatable:
      return take_relocation(bytes, header);
    case kFramebuffer:      // a wish
    case kModuleAlignment:  // modules are on pages always
    case kEfiEntry32:       // of UEFI machines alone
    case kEfiEntry64:
      return {};
    case kEfiBootServices:
      if (is_optional) return {};
      return bad("wants UEFI's boot services, which only firmware has: start it by --bios");
    default:
      if (is_optional) return {};
      return bad("requires a feature that is not known here (header tag {})", tag.type);
  }
}

}  // namespace

std::optional<std::uint64_t> find_multiboot2_header(Bytes kernel) {
  for (std::uint64_t offset = 0; offset + sizeof(Fixed) <= kSearchEnd; offset += kAlignment) {
    const auto fixed = read_at<Fixed>(kernel, offset);
    if (!fixed) break;
    if (fixed->magic == kMagic &&
        fixed->magic + fixed->architecture + fixed->size + fixed->checksum == 0) {
      return offset;
    }
  }
  return std::nullopt;
}

Result<Multiboot2Header> parse_multiboot2_header(Bytes kernel, std::uint64_t offset) {
  const auto fixed = read_at<Fixed>(kernel, offset);
  if (!fixed) return bad("is cut short within its header");
  if (fixed->architecture != kI386)
    return bad("is for another architecture (number {})", fixed->architecture);
  const std::optional<Bytes> all = slice(kernel, offset, fixed->size);
  if (!all || offset + fixed->size > kSearchEnd) {
    return bad("has a header of {} bytes at {:#x}, beyond its end or the first {} of the file",
               fixed->size, offset, kSearchEnd);
  }
  Multiboot2Header header;
  header.offset = offset;
  for (std::uint64_t at = sizeof(Fixed);;) {
    const auto tag = read_at<Tag>(*all, at);
    if (!tag) return bad("has a header without an end");
    if (tag->type == kEnd) return header;
    const std::optional<Bytes> bytes = slice(*all, at, tag->size);
    if (!bytes || tag->size < sizeof *tag)
      return bad("has a header tag of {} bytes that cannot be", tag->size);
    TRY(take(*bytes, *tag, header));
    at += (tag->size + kAlignment - 1) / kAlignment * kAlignment;
  }
}

}  // namespace ringside::machine
