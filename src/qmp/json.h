// JSON values in this room, whose members keep their order; and how they are written, which is
// QEMU's way: a blank after each comma and colon, one value a line.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace ringside::qmp {

using Json = nlohmann::ordered_json;

// With the end of the line. What is no UTF-8 in a string becomes U+FFFD.
std::string to_line(const Json& value);

}  // namespace ringside::qmp
