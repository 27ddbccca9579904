// g G p P. GDB manual, "Packets".
#include "rsp/families.h"
#include "rsp/fields.h"

namespace ringside::rsp {
namespace {

Request parse_write_register(Fields fields) {
  const auto number = fields.hex();
  if (!number || !fields.take('=')) return Malformed{"P wants number=value"};
  auto data = fields.hex_bytes();
  if (!data || data->empty()) return Malformed{"P wants a value in pairs of hex digits"};
  return WriteRegister{*number, std::move(*data)};
}

}  // namespace

Request parse_registers(std::string_view payload) {
  Fields fields(payload.substr(1));
  switch (payload.front()) {
    case 'g':
      if (!fields.at_end()) return Malformed{"g takes no argument"};
      return ReadRegisters{};
    case 'G': {
      auto data = fields.hex_bytes();
      if (!data || data->empty()) return Malformed{"G wants values in pairs of hex digits"};
      return WriteRegisters{std::move(*data)};
    }
    case 'p': {
      const auto number = fields.hex();
      if (!number || !fields.at_end()) return Malformed{"p wants a register number"};
      return ReadRegister{*number};
    }
    default:
      return parse_write_register(fields);
  }
}

}  // namespace ringside::rsp
