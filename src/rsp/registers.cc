// g G p P. GDB manual, "Packets"; LLDB adds the thread.
#include "rsp/families.h"
#include "rsp/fields.h"

namespace ringside::rsp {
namespace {

Request parse_write_register(Fields fields, std::optional<ThreadId> thread) {
  const auto number = fields.hex();
  if (!number || !fields.take('=')) return Malformed{"P wants number=value"};
  auto data = fields.hex_bytes();
  if (!data || data->empty()) return Malformed{"P wants a value in pairs of hex digits"};
  return WriteRegister{*number, std::move(*data), thread};
}

}  // namespace

Request parse_registers(std::string_view payload) {
  const auto suffixed = split_thread_suffix(payload.substr(1));
  if (!suffixed) return Malformed{"a register packet wants ;thread:id; at its end"};
  Fields fields(suffixed->payload);
  switch (payload.front()) {
    case 'g':
      if (!fields.at_end()) return Malformed{"g takes no argument"};
      return ReadRegisters{suffixed->thread};
    case 'G': {
      auto data = fields.hex_bytes();
      if (!data || data->empty()) return Malformed{"G wants values in pairs of hex digits"};
      return WriteRegisters{std::move(*data), suffixed->thread};
    }
    case 'p': {
      const auto number = fields.hex();
      if (!number || !fields.at_end()) return Malformed{"p wants a register number"};
      return ReadRegister{*number, suffixed->thread};
    }
    default:
      return parse_write_register(fields, suffixed->thread);
  }
}

}  // namespace ringside::rsp
