#include "debug/agent/agent_printf.h"

#include <algorithm>
#include <array>
#include <cstdio>

namespace ringside::debug {
namespace {

constexpr int kMaxField = 200;

// GDB sends the format as it stands in the source, with its escapes.
char unescape(std::string_view format, std::size_t& i) {
  const char c = format[i++];
  switch (c) {
    case 'n':
      return '\n';
    case 't':
      return '\t';
    case 'r':
      return '\r';
    case 'a':
      return '\a';
    case 'b':
      return '\b';
    case 'f':
      return '\f';
    case 'v':
      return '\v';
    case 'e':
      return '\x1b';
    default:
      break;
  }
  if (c < '0' || c > '7') return c;
  int value = c - '0';
  for (int digits = 1; digits < 3 && i < format.size() && format[i] >= '0' && format[i] <= '7';
       ++digits) {
    value = value * 8 + (format[i++] - '0');
  }
  return static_cast<char>(value);
}

struct Conversion {
  std::string flags;
  int width = 0;
  int precision = -1;
  unsigned long_count = 0;
  unsigned half_count = 0;
  bool size_type = false;  // z, j or t: 64 bits
  char kind = 0;
};

int number(std::string_view format, std::size_t& i) {
  int value = 0;
  while (i < format.size() && format[i] >= '0' && format[i] <= '9') {
    value = std::min(value * 10 + (format[i++] - '0'), kMaxField);
  }
  return value;
}

Conversion conversion(std::string_view format, std::size_t& i) {
  Conversion c;
  while (i < format.size() && std::string_view("-+ #0").find(format[i]) != std::string_view::npos) {
    if (c.flags.find(format[i]) == std::string::npos) c.flags += format[i];
    ++i;
  }
  c.width = number(format, i);
  if (i < format.size() && format[i] == '.') {
    ++i;
    c.precision = number(format, i);
  }
  for (; i < format.size(); ++i) {
    if (format[i] == 'l') {
      ++c.long_count;
    } else if (format[i] == 'h') {
      ++c.half_count;
    } else if (std::string_view("zjt").find(format[i]) != std::string_view::npos) {
      c.size_type = true;
    } else {
      break;
    }
  }
  if (i < format.size()) c.kind = format[i++];
  return c;
}

std::string spec(const Conversion& c, std::string_view length_and_kind) {
  std::string text = "%" + c.flags;
  if (c.width > 0) text += std::to_string(c.width);
  if (c.precision >= 0) text += '.' + std::to_string(c.precision);
  text.append(length_and_kind);
  return text;
}

template <typename T>
std::string print(const std::string& spec, T value) {
  std::array<char, 2 * kMaxField + 64> buffer;
  const int length = std::snprintf(buffer.data(), buffer.size(), spec.c_str(), value);
  return std::string(
      buffer.data(),
      std::min<std::size_t>(static_cast<std::size_t>(std::max(length, 0)), buffer.size() - 1));
}

std::uint64_t narrow(const Conversion& c, std::uint64_t value, bool is_signed) {
  unsigned bits = 32;
  if (c.long_count > 0 || c.size_type) bits = 64;
  if (c.half_count == 1) bits = 16;
  if (c.half_count >= 2) bits = 8;
  const unsigned shift = 64 - bits;
  if (is_signed) {
    return static_cast<std::uint64_t>(static_cast<std::int64_t>(value << shift) >> shift);
  }
  return value << shift >> shift;
}

Result<std::string> guest_string(AgentContext& context, std::uint64_t address, std::size_t max) {
  std::string text;
  while (text.size() < max) {
    std::array<std::byte, 1> byte;
    const auto read = context.read_memory({address + text.size()}, byte);
    if (!read) {
      if (text.empty()) return fail(read.error());
      break;
    }
    if (byte[0] == std::byte{0}) break;
    text += static_cast<char>(byte[0]);
  }
  return text;
}

}  // namespace

Result<std::string> agent_printf(std::string_view format, std::span<const std::uint64_t> arguments,
                                 AgentContext& context, std::size_t max_text) {
  std::string out;
  std::size_t used = 0;
  for (std::size_t i = 0; i < format.size() && out.size() < max_text;) {
    const char ch = format[i++];
    if (ch == '\\' && i < format.size()) {
      out += unescape(format, i);
      continue;
    }
    if (ch != '%') {
      out += ch;
      continue;
    }
    if (i < format.size() && format[i] == '%') {
      out += '%';
      ++i;
      continue;
    }
    const Conversion c = conversion(format, i);
    if (used == arguments.size()) {
      return fail(ErrorCode::BadRequest, "a printf format wants more arguments than there are");
    }
    const std::uint64_t value = arguments[used++];
    switch (c.kind) {
      case 'd':
      case 'i':
        out += print(spec(c, "lld"), static_cast<long long>(narrow(c, value, true)));
        break;
      case 'u':
        out += print(spec(c, "llu"), static_cast<unsigned long long>(narrow(c, value, false)));
        break;
      case 'x':
        out += print(spec(c, "llx"), static_cast<unsigned long long>(narrow(c, value, false)));
        break;
      case 'X':
        out += print(spec(c, "llX"), static_cast<unsigned long long>(narrow(c, value, false)));
        break;
      case 'o':
        out += print(spec(c, "llo"), static_cast<unsigned long long>(narrow(c, value, false)));
        break;
      case 'c':
        out += print(spec(c, "c"), static_cast<int>(value & 0xff));
        break;
      case 'p':
        out += "0x" + print(spec(c, "llx"), static_cast<unsigned long long>(value));
        break;
      case 's': {
        const std::size_t limit =
            c.precision >= 0 ? static_cast<std::size_t>(c.precision) : max_text;
        std::string text =
            TRY(guest_string(context, value, std::min(limit, max_text - out.size())));
        const auto width = static_cast<std::size_t>(c.width);
        if (text.size() < width) {
          const bool left = c.flags.find('-') != std::string::npos;
          text.insert(left ? text.size() : 0, width - text.size(), ' ');
        }
        out += text;
        break;
      }
      default:
        return fail(ErrorCode::BadRequest,
                    "a printf format has a conversion that is not supported");
    }
  }
  if (out.size() > max_text) out.resize(max_text);
  return out;
}

}  // namespace ringside::debug
