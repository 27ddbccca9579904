// QT… qT…. GDB manual, "Tracepoint Packets".
#include <algorithm>

#include "base/hex.h"
#include "rsp/families.h"
#include "rsp/fields.h"

namespace ringside::rsp {
namespace {

// GDB's number of no register and of no frame, -1 in the 32 bits that it has for them.
constexpr std::uint64_t kNone = 0xffff'ffff;

std::optional<std::string> text_of(Fields fields) {
  const auto bytes = fields.hex_bytes();
  if (!bytes) return std::nullopt;
  return std::string(reinterpret_cast<const char*>(bytes->data()), bytes->size());
}

// X<length>,<bytes in hex>, behind the X.
std::optional<Bytes> take_expression(Fields& fields) {
  const auto length = fields.hex();
  if (!length || !fields.take(',') || *length > fields.rest().size() / 2) return std::nullopt;
  const auto digits = static_cast<std::size_t>(*length) * 2;
  auto bytes = Fields(fields.rest().substr(0, digits)).hex_bytes();
  fields.skip(digits);
  return bytes;
}

// :number:address
template <typename Place>
bool take_place(Fields& fields, Place& place) {
  const auto number = fields.hex();
  if (!number || !fields.take(':')) return false;
  const auto address = fields.address();
  if (!address) return false;
  place.number = *number;
  place.address = *address;
  return true;
}

std::optional<std::uint64_t> take_number(Fields& fields, char before) {
  return fields.take(before) ? fields.hex() : std::nullopt;
}

bool take_registers(Fields& fields) {
  const std::size_t digits =
      std::min(fields.rest().find_first_not_of("0123456789abcdefABCDEF"), fields.rest().size());
  fields.skip(digits);
  return digits > 0;
}

bool take_memory(Fields& fields, TraceAction& action) {
  action.kind = TraceAction::Kind::Memory;
  if (!fields.take("-1")) {
    const auto base = fields.hex();
    if (!base) return false;
    if (*base != kNone) action.base = *base;
  }
  const auto offset = take_number(fields, ',');
  const auto length = offset ? take_number(fields, ',') : std::nullopt;
  if (!length) return false;
  action.offset = *offset;
  action.length = *length;
  return true;
}

Request parse_actions(Fields fields) {
  constexpr Malformed kWrong{"QTDP:- wants number:address:actions of R, M and X"};
  AddTraceActions request;
  if (!take_place(fields, request) || !fields.take(':')) return kWrong;
  request.while_stepping = fields.take('S');
  while (!fields.at_end() && fields.rest() != "-") {
    TraceAction action;
    if (fields.take('R')) {
      if (!take_registers(fields)) return kWrong;
    } else if (fields.take('M')) {
      if (!take_memory(fields, action)) return kWrong;
    } else if (fields.take('X')) {
      auto code = take_expression(fields);
      if (!code) return kWrong;
      action.kind = TraceAction::Kind::Expression;
      action.code = std::move(*code);
    } else {
      return kWrong;
    }
    request.actions.push_back(std::move(action));
  }
  return request;
}

Request parse_definition(Fields fields) {
  constexpr Malformed kWrong{"QTDP wants number:address:E or D:steps:passes and what it is"};
  if (!fields.take(':')) return kWrong;
  if (fields.take('-')) return parse_actions(fields);
  DefineTracepoint request;
  if (!take_place(fields, request) || !fields.take(':')) return kWrong;
  if (fields.take('D')) {
    request.enabled = false;
  } else if (!fields.take('E')) {
    return kWrong;
  }
  const auto steps = take_number(fields, ':');
  const auto pass = steps ? take_number(fields, ':') : std::nullopt;
  if (!pass) return kWrong;
  request.steps = *steps;
  request.pass = *pass;
  while (fields.take(':')) {
    if (fields.take('F')) {
      const auto length = fields.hex();
      if (!length) return kWrong;
      request.kind = DefineTracepoint::Kind::Fast;
      request.fast_length = *length;
    } else if (fields.take('S')) {
      request.kind = DefineTracepoint::Kind::Static;
    } else if (fields.take('X')) {
      request.condition = take_expression(fields);
      if (!request.condition) return kWrong;
    } else {
      return kWrong;
    }
  }
  fields.take('-');
  if (!fields.at_end()) return kWrong;
  return request;
}

Request parse_source(Fields fields) {
  constexpr Malformed kWrong{"QTDPsrc wants :number:address:type:start:length:text"};
  AddTraceSource request;
  if (!fields.take(':') || !take_place(fields, request) || !fields.take(':')) return kWrong;
  request.type = fields.take_until(':');
  const auto start = fields.hex();
  const auto total = start ? take_number(fields, ':') : std::nullopt;
  if (request.type.empty() || !total || !fields.take(':')) return kWrong;
  const auto text = text_of(fields);
  if (!text) return kWrong;
  request.start = *start;
  request.total = *total;
  request.text = *text;
  return request;
}

Request parse_variable(Fields fields) {
  constexpr Malformed kWrong{"QTDV wants :number:value:builtin:name"};
  const auto number = take_number(fields, ':');
  const auto value = number ? take_number(fields, ':') : std::nullopt;
  const auto builtin = value ? take_number(fields, ':') : std::nullopt;
  if (!builtin || *builtin > 1 || !fields.take(':')) return kWrong;
  const auto name = text_of(fields);
  if (!name) return kWrong;
  return DefineTraceVariable{*number, static_cast<std::int64_t>(*value), *builtin == 1, *name};
}

Request parse_frame(Fields fields) {
  constexpr Malformed kWrong{
      "QTFrame wants :number, or :pc, :tdp, :range or :outside with numbers"};
  using By = SelectFrame::By;
  if (!fields.take(':')) return kWrong;
  SelectFrame request;
  if (fields.take("pc:")) {
    request.by = By::Pc;
  } else if (fields.take("range:")) {
    request.by = By::Range;
  } else if (fields.take("outside:")) {
    request.by = By::Outside;
  } else {
    if (fields.take("tdp:")) request.by = By::Tracepoint;
    const auto number = fields.hex();
    if (!number || !fields.at_end()) return kWrong;
    if (request.by == By::Tracepoint || *number != kNone) request.number = *number;
    return request;
  }
  const auto first = fields.address();
  const auto last = !first || request.by == By::Pc ? first
                    : fields.take(':')             ? fields.address()
                                                   : std::nullopt;
  if (!last || !fields.at_end()) return kWrong;
  request.first = *first;
  request.last = *last;
  return request;
}

Request parse_buffer(Fields fields) {
  constexpr Malformed kWrong{"QTBuffer wants :circular:0 or 1, or :size: with bytes or -1"};
  if (fields.take(":circular:")) {
    const auto on = fields.hex();
    if (!on || *on > 1 || !fields.at_end()) return kWrong;
    return SetTraceRing{*on == 1};
  }
  if (!fields.take(":size:")) return kWrong;
  if (fields.rest() == "-1") return SetTraceSize{};
  const auto size = fields.hex();
  if (!size || !fields.at_end()) return kWrong;
  return SetTraceSize{*size};
}

Request parse_read_only(Fields fields) {
  SetReadOnlyMemory request;
  while (fields.take(':')) {
    const auto start = fields.address();
    const auto end = start && fields.take(',') ? fields.address() : std::nullopt;
    if (!end) return Malformed{"QTro wants :start,end for each range"};
    request.ranges.push_back({*start, *end});
  }
  if (!fields.at_end()) return Malformed{"QTro wants :start,end for each range"};
  return request;
}

Request parse_notes(Fields fields) {
  constexpr Malformed kWrong{"QTNotes wants user:, notes: or tstop: and text in hex"};
  fields.take(':');
  SetTraceNotes request;
  while (!fields.at_end()) {
    Fields note(fields.take_until(';'));
    std::optional<std::string>* into = nullptr;
    if (note.take("user:")) into = &request.user;
    if (into == nullptr && note.take("notes:")) into = &request.notes;
    if (into == nullptr && note.take("tstop:")) into = &request.stop;
    if (into == nullptr) return kWrong;
    *into = text_of(note);
    if (!*into) return kWrong;
  }
  return request;
}

}  // namespace

Request parse_trace(std::string_view payload) {
  if (payload == "QTinit") return ClearTracepoints{};
  if (payload == "QTStart") return StartTrace{};
  if (payload == "QTStop") return StopTrace{};
  Fields fields(payload);
  if (fields.take("QTDPsrc")) return parse_source(fields);
  if (fields.take("QTDP")) return parse_definition(fields);
  if (fields.take("QTDV")) return parse_variable(fields);
  if (fields.take("QTFrame")) return parse_frame(fields);
  if (fields.take("QTBuffer")) return parse_buffer(fields);
  if (fields.take("QTNotes")) return parse_notes(fields);
  if (fields.take("QTro")) return parse_read_only(fields);
  if (fields.take("QTDisconnected")) {
    const auto on = take_number(fields, ':');
    if (!on || *on > 1 || !fields.at_end()) return Malformed{"QTDisconnected wants :0 or :1"};
    return SetDisconnectedTracing{*on == 1};
  }
  if (fields.take("QTSave")) {
    const auto name = fields.take(':') ? text_of(fields) : std::nullopt;
    if (!name || name->empty()) return Malformed{"QTSave wants :name in hex"};
    return SaveTrace{*name};
  }
  EnableTracepoint request;
  request.enable = fields.take("QTEnable");
  if (!request.enable) fields.take("QTDisable");
  if (!fields.take(':') || !take_place(fields, request) || !fields.at_end())
    return Malformed{"the packet wants :number:address, or takes no argument"};
  return request;
}

Request parse_trace_query(std::string_view payload) {
  if (payload == "qTStatus") return QueryTrace{};
  if (payload == "qTfP") return FirstTracepoints{};
  if (payload == "qTsP") return MoreTracepoints{};
  if (payload == "qTfV") return FirstTraceVariables{};
  if (payload == "qTsV") return MoreTraceVariables{};
  if (payload == "qTMinFTPILen") return QueryFastTracepoints{};
  Fields fields(payload);
  if (fields.take("qTV")) {
    const auto number = take_number(fields, ':');
    if (!number || !fields.at_end()) return Malformed{"qTV wants :number"};
    return ReadTraceVariable{*number};
  }
  if (fields.take("qTBuffer")) {
    const auto offset = take_number(fields, ':');
    const auto length = offset ? take_number(fields, ',') : std::nullopt;
    if (!length || !fields.at_end()) return Malformed{"qTBuffer wants :offset,length"};
    return ReadTraceBuffer{*offset, *length};
  }
  if (!fields.take("qTP")) return Malformed{"the query takes no argument"};
  QueryTracepoint request;
  if (!fields.take(':') || !take_place(fields, request) || !fields.at_end())
    return Malformed{"qTP wants :number:address"};
  return request;
}

}  // namespace ringside::rsp
