// A value that a client has sent, as a request: its form is checked here, whether there is such a
// command is not.
//
// Pure.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "qmp/json.h"

namespace ringside::qmp {

// The classes of errors that QEMU has, as far as they are needed here.
enum class ErrorClass : std::uint8_t { GenericError, CommandNotFound };

struct Refusal {
  ErrorClass error = ErrorClass::GenericError;
  std::string text;
};

struct Request {
  std::string command;
  Json arguments = Json::object();
};

struct Received {
  std::optional<Json> id;  // comes back with the answer, also with that of a bad request
  std::variant<Request, Refusal> what;
};

// `text`: JSON, or nearly.
Received parse_request(std::string_view text);

}  // namespace ringside::qmp
