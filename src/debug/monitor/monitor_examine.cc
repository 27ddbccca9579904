// monitor x and xp: memory in QEMU's form, by a linear or a physical address.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "debug/monitor/monitor.h"

namespace ringside::debug {
namespace {

constexpr std::uint64_t kMostBytes = 0x10000;

std::uint64_t value_of(std::span<const std::byte> item) {
  std::uint64_t value = 0;
  std::memcpy(&value, item.data(), item.size());
  return value;
}

std::int64_t signed_value(std::uint64_t value, unsigned size) {
  const unsigned unused = 64 - 8 * size;
  return static_cast<std::int64_t>(value << unused) >> unused;
}

std::string quoted(std::uint64_t value) {
  const auto c = static_cast<char>(value);
  if (c == '\'' || c == '\\') return fmt::format("'\\{}'", c);
  if (c == '\n') return "'\\n'";
  if (c == '\r') return "'\\r'";
  if (c >= ' ' && c <= '~') return fmt::format("'{}'", c);
  return fmt::format("'\\x{:02x}'", value & 0xff);
}

// One item as wide as the widest of its kind, as QEMU has it.
std::string item_text(std::uint64_t value, const ExamineFormat& form) {
  const unsigned bits = 8 * form.size;
  switch (form.format) {
    case 'o':
      return fmt::format("{:>#{}o}", value, (bits + 2) / 3);
    case 'u':
      return fmt::format("{:>{}}", value, (bits * 10 + 32) / 33);
    case 'd':
      return fmt::format("{:>{}}", signed_value(value, form.size), (bits * 10 + 32) / 33);
    case 'c':
      return quoted(value);
    default:
      return fmt::format("0x{:0{}x}", value, bits / 4);
  }
}

}  // namespace

Result<ExamineFormat> parse_examine_format(std::string_view text) {
  ExamineFormat form;
  if (!text.empty() && text[0] >= '0' && text[0] <= '9') {
    form.count = 0;
    for (; !text.empty() && text[0] >= '0' && text[0] <= '9'; text.remove_prefix(1))
      form.count =
          std::min(form.count * 10 + static_cast<std::uint64_t>(text[0] - '0'), kMostBytes + 1);
  }
  for (const char c : text) {
    switch (c) {
      case 'x':
      case 'd':
      case 'u':
      case 'o':
        form.format = c;
        break;
      case 'c':
        form.format = c;
        form.size = 1;
        break;
      case 'b':
        form.size = 1;
        break;
      case 'h':
        form.size = 2;
        break;
      case 'w':
        form.size = 4;
        break;
      case 'g':
        form.size = 8;
        break;
      case 'i':
      case 's':
      case 'a':
        return fail(
            ErrorCode::NotSupported,
            fmt::format("the debugger's own x /{} shows that; here it is x, d, u, o or c", c));
      default:
        return fail(
            ErrorCode::BadRequest,
            fmt::format("{} is neither a format (x, d, u, o, c) nor a size (b, h, w, g)", c));
    }
  }
  if (form.format == 'c') form.size = 1;
  if (form.count == 0 || form.count > kMostBytes / form.size)
    return fail(ErrorCode::BadRequest, fmt::format("between 1 and {} bytes at a time", kMostBytes));
  return form;
}

Result<std::string> Monitor::examine(Words words) {
  return examine_as({AddressKind::Linear, session_.addresses.cr3}, words);
}

Result<std::string> Monitor::examine_physical(Words words) {
  return examine_as({AddressKind::Physical, {}}, words);
}

Result<std::string> Monitor::examine_as(const Addresses& addresses, Words words) {
  ExamineFormat form;
  if (!words.empty() && words[0].starts_with('/')) {
    form = TRY(parse_examine_format(words[0].substr(1)));
    words = words.subspan(1);
  }
  if (words.empty()) return fail(ErrorCode::BadRequest, "wants an address; see help x");
  std::string expression;
  for (std::size_t i = 0; i < words.size(); ++i) {
    // What a blank divides must be a sum.
    const bool joined = i == 0 ||
                        std::string_view("+-").find(words[i].front()) != std::string_view::npos ||
                        std::string_view("+-").find(expression.back()) != std::string_view::npos;
    if (!joined)
      return fail(ErrorCode::BadRequest, "the count goes before the address: /4xw ADDRESS");
    expression += words[i];
  }
  std::uint64_t address = TRY(number(expression));
  const std::uint64_t wanted = form.count * form.size;
  ShadowedMemory memory(target_.vm(), target_.breakpoints(), session_.current, addresses);
  const Result<std::vector<std::byte>> read = memory.read(address, wanted);
  if (!read) {
    return fail(read.error().code(),
                fmt::format("Cannot access memory at {:#x}: {}", address, read.error().text()));
  }
  const std::vector<std::byte>& bytes = *read;
  const std::size_t per_line = form.size == 1 ? 8 : 16;
  std::string text;
  std::span<const std::byte> rest(bytes);
  while (rest.size() >= form.size) {
    text += fmt::format("{:016x}:", address);
    const std::size_t line = std::min(per_line, rest.size() / form.size * form.size);
    for (std::size_t at = 0; at < line; at += form.size)
      text += " " + item_text(value_of(rest.subspan(at, form.size)), form);
    text += '\n';
    rest = rest.subspan(line);
    address += line;
  }
  if (bytes.size() < wanted) text += fmt::format("Cannot access memory at {:#x}\n", address);
  return text;
}

}  // namespace ringside::debug
