#include "qmp/request.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <vector>

namespace ringside::qmp {
namespace {

Refusal refuse(std::string text) { return {ErrorClass::GenericError, std::move(text)}; }

// What the library says, without the name and number that it gives the error.
Refusal no_json(std::string_view said) {
  const std::size_t end = said.find("] ");
  if (said.starts_with('[') && end != std::string_view::npos) said.remove_prefix(end + 2);
  return refuse(fmt::format("JSON parse error, {}", said));
}

// The library would keep the last of two members with the same name.
class DuplicateKeys {
 public:
  bool operator()(int /*depth*/, Json::parse_event_t event, Json& parsed) {
    if (event == Json::parse_event_t::object_start) {
      open_.emplace_back();
    } else if (event == Json::parse_event_t::object_end) {
      open_.pop_back();
    } else if (event == Json::parse_event_t::key) {
      found |= !open_.back().insert(parsed.get<std::string>()).second;
    }
    return true;
  }
  bool found = false;

 private:
  std::vector<std::set<std::string>> open_;
};

std::variant<Request, Refusal> read_members(const Json& object) {
  Request request;
  bool has_command = false;
  for (const auto& [name, value] : object.items()) {
    if (name == "id") continue;
    if (name == "execute") {
      if (!value.is_string()) return refuse("QMP input member 'execute' must be a string");
      request.command = value.get<std::string>();
      has_command = true;
    } else if (name == "arguments") {
      if (!value.is_object()) return refuse("QMP input member 'arguments' must be an object");
      request.arguments = value;
    } else {
      return refuse(fmt::format("QMP input member '{}' is unexpected", name));
    }
  }
  if (!has_command) return refuse("QMP input lacks member 'execute'");
  return request;
}

}  // namespace

Received parse_request(std::string_view text) {
  Json value;
  DuplicateKeys keys;
  try {
    value = Json::parse(text, std::ref(keys));
  } catch (const Json::exception& error) {
    return {std::nullopt, no_json(error.what())};
  }
  if (keys.found) return {std::nullopt, refuse("JSON parse error, duplicate key")};
  if (!value.is_object()) return {std::nullopt, refuse("QMP input must be a JSON object")};
  Received received{std::nullopt, read_members(value)};
  if (const auto id = value.find("id"); id != value.end()) received.id = *id;
  return received;
}

}  // namespace ringside::qmp
