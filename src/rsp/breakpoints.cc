// Z z, with conditions and commands. GDB manual, "Packets" (Z) and "Agent Expressions".
#include "rsp/families.h"
#include "rsp/fields.h"

namespace ringside::rsp {
namespace {

// Zero or more X<length>,<bytes in hex>.
bool take_expressions(Fields& fields, std::vector<Bytes>& expressions) {
  while (fields.take('X')) {
    const auto length = fields.hex();
    if (!length || !fields.take(',')) return false;
    if (*length > fields.rest().size() / 2) return false;
    const auto digits = static_cast<std::size_t>(*length) * 2;
    auto bytes = Fields(fields.rest().substr(0, digits)).hex_bytes();
    if (!bytes) return false;
    expressions.push_back(std::move(*bytes));
    fields.skip(digits);
  }
  return true;
}

// [;cmds:persist,expressions] and [;expressions]. GDB puts one ; before a whole list; a ; before
// each expression is taken too.
bool take_lists(Fields& fields, InsertBreakpoint& insert) {
  while (fields.take(';')) {
    if (fields.take("cmds:")) {
      const auto persist = fields.hex();
      if (!persist || *persist > 1 || !fields.take(',')) return false;
      insert.commands_persist = *persist == 1;
      if (!take_expressions(fields, insert.commands)) return false;
    } else if (fields.rest().substr(0, 1) != "X" || !take_expressions(fields, insert.conditions)) {
      return false;
    }
  }
  return fields.at_end();
}

}  // namespace

Request parse_breakpoint(std::string_view payload) {
  Fields fields(payload.substr(1));
  const auto type = fields.hex();
  if (!type) return Malformed{"Z and z want type,address,kind"};
  // A type that nobody has defined yet is not an error: the client may try and fall back.
  if (*type > static_cast<std::uint64_t>(BreakpointType::AccessWatch)) return Unknown{};
  if (!fields.take(',')) return Malformed{"Z and z want type,address,kind"};
  const auto address = fields.address();
  if (!address || !fields.take(',')) return Malformed{"Z and z want type,address,kind"};
  const auto kind = fields.hex();
  if (!kind) return Malformed{"Z and z want type,address,kind"};

  InsertBreakpoint insert;
  insert.type = static_cast<BreakpointType>(*type);
  insert.address = *address;
  insert.kind = *kind;
  if (!take_lists(fields, insert)) return Malformed{"the conditions or commands are wrong"};
  if (payload.front() == 'Z') return insert;
  return RemoveBreakpoint{insert.type, insert.address, insert.kind};
}

}  // namespace ringside::rsp
