#include <fmt/format.h>

#include <charconv>

#include "cli/options/options.h"

namespace ringside::cli {

Result<std::uint64_t> parse_size(std::string_view text) {
  const auto bad = [text] {
    return fail(ErrorCode::BadRequest, fmt::format("'{}' is not a size, such as 512M or 2G", text));
  };
  std::uint64_t number = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc() || end - stop > 1) return bad();
  unsigned shift = 20;
  if (stop != end) {
    switch (*stop) {
      case 'k':
      case 'K':
        shift = 10;
        break;
      case 'm':
      case 'M':
        break;
      case 'g':
      case 'G':
        shift = 30;
        break;
      case 't':
      case 'T':
        shift = 40;
        break;
      default:
        return bad();
    }
  }
  if (number > (~std::uint64_t{0} >> shift)) return bad();
  return number << shift;
}

}  // namespace ringside::cli
