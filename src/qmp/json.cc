#include "qmp/json.h"

#include <nlohmann/json.hpp>

namespace ringside::qmp {
namespace {

// As deep as what was read, of which `id` comes back, and that is bounded (json_input.h).
void append(std::string& text, const Json& value) {
  if (!value.is_structured()) {
    text += value.dump(-1, ' ', true, Json::error_handler_t::replace);
    return;
  }
  text += value.is_object() ? '{' : '[';
  bool first = true;
  for (const auto& [key, member] : value.items()) {
    if (!std::exchange(first, false)) text += ", ";
    if (value.is_object()) {
      append(text, Json(key));
      text += ": ";
    }
    append(text, member);
  }
  text += value.is_object() ? '}' : ']';
}

}  // namespace

std::string to_line(const Json& value) {
  std::string text;
  append(text, value);
  return text + "\r\n";
}

}  // namespace ringside::qmp
