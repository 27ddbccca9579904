// Text within XML.
#pragma once

#include <string>
#include <string_view>

namespace ringside {

// With the characters that mean something in XML written out, also for attribute values in quotes.
inline std::string xml_text(std::string_view text) {
  std::string result;
  for (const char c : text) {
    if (c == '<') {
      result += "&lt;";
    } else if (c == '>') {  // where "]]" is before it
      result += "&gt;";
    } else if (c == '&') {
      result += "&amp;";
    } else if (c == '"') {
      result += "&quot;";
    } else {
      result += static_cast<unsigned char>(c) < ' ' ? ' ' : c;
    }
  }
  return result;
}

}  // namespace ringside
