// QThreadSuffixSupported QListThreadsInStopReply QEnableErrorStrings qProcessInfo qGDBServerVersion
// qWatchpointSupportInfo qThreadStopInfo jThreadsInfo QSaveRegisterState QRestoreRegisterState _M
// _m MultiMemRead jMultiBreakpoint. LLDB's documentation, "GDB Remote Protocol Extensions".
#include <charconv>

#include "rsp/families.h"
#include "rsp/fields.h"

namespace ringside::rsp {
namespace {

// Beyond what any client has use for; the reply has a number for each.
constexpr std::size_t kMostSpans = 1024;

Request parse_spans(Fields fields) {
  ReadMemorySpans read;
  do {
    const auto address = fields.address();
    if (!address || !fields.take(',')) return Malformed{"MultiMemRead wants address,length pairs"};
    const auto length = fields.hex();
    if (!length) return Malformed{"MultiMemRead wants address,length pairs"};
    if (read.spans.size() == kMostSpans) return Malformed{"MultiMemRead has too many ranges"};
    read.spans.push_back({*address, *length});
  } while (fields.take(','));
  if (!fields.take(';') || !fields.at_end()) return Malformed{"MultiMemRead wants ; at its end"};
  return read;
}

Request parse_restore(std::string_view text, std::optional<ThreadId> thread) {
  RestoreRegisters restore{0, thread};
  // The one number that is decimal: it is written as the answer to QSaveRegisterState was.
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, restore.number);
  if (text.empty() || error != std::errc() || stop != end)
    return Malformed{"QRestoreRegisterState wants :number"};
  return restore;
}

BreakpointRequest parse_change(std::string_view text) {
  if (text.empty() || (text.front() != 'Z' && text.front() != 'z')) return Unknown{};
  Request request = parse_breakpoint(text);
  if (auto* insert = std::get_if<InsertBreakpoint>(&request)) return std::move(*insert);
  if (auto* remove = std::get_if<RemoveBreakpoint>(&request)) return std::move(*remove);
  if (auto* malformed = std::get_if<Malformed>(&request)) return *malformed;
  return Unknown{};
}

// Over the JSON of jMultiBreakpoint, which is one object of one array of strings. No packet has a
// character that a string would have to escape.
class Json {
 public:
  explicit Json(std::string_view text) : fields_(text) {}

  bool take(char c) {
    skip_blanks();
    return fields_.take(c);
  }
  std::optional<std::string_view> string() {
    if (!take('"')) return std::nullopt;
    const std::size_t end = fields_.rest().find_first_of("\"\\");
    if (end == std::string_view::npos || fields_.rest()[end] != '"') return std::nullopt;
    return fields_.take_until('"');
  }
  bool at_end() {
    skip_blanks();
    return fields_.at_end();
  }

 private:
  void skip_blanks() {
    while (fields_.take(' ') || fields_.take('\t') || fields_.take('\n') || fields_.take('\r')) {
    }
  }

  Fields fields_;
};

Request parse_changes(std::string_view text) {
  constexpr Malformed kMalformed{
      R"(jMultiBreakpoint wants an object whose "breakpoint_requests" are Z and z packets)"};
  Json json(text);
  ChangeBreakpoints change;
  if (!json.take('{') || json.string() != "breakpoint_requests" || !json.take(':') ||
      !json.take('[')) {
    return kMalformed;
  }
  if (!json.take(']')) {
    do {
      const auto request = json.string();
      if (!request) return kMalformed;
      change.requests.push_back(parse_change(*request));
    } while (json.take(','));
    if (!json.take(']')) return kMalformed;
  }
  if (!json.take('}') || !json.at_end()) return kMalformed;
  return change;
}

// Those that have an argument.
Request parse_with_argument(std::string_view payload) {
  const auto suffixed = split_thread_suffix(payload);
  if (!suffixed) return Malformed{"the packet wants ;thread:id; at its end"};
  Fields fields(suffixed->payload);
  if (fields.take("QSaveRegisterState")) {
    if (!fields.at_end()) return Malformed{"QSaveRegisterState takes a thread alone"};
    return SaveRegisters{suffixed->thread};
  }
  if (!fields.take("QRestoreRegisterState")) return Malformed{"the packet takes no argument"};
  if (!fields.take(':')) return Malformed{"QRestoreRegisterState wants :number"};
  return parse_restore(fields.rest(), suffixed->thread);
}

}  // namespace

Request parse_lldb(std::string_view payload) {
  if (payload == "QThreadSuffixSupported") return EnableThreadSuffix{};
  if (payload == "QListThreadsInStopReply") return EnableThreadList{};
  if (payload == "QEnableErrorStrings") return EnableErrorStrings{};
  if (payload == "qProcessInfo") return QueryProcess{};
  if (payload == "qGDBServerVersion") return QueryServerVersion{};
  // LLDB writes a colon with nothing behind it.
  if (payload == "qWatchpointSupportInfo" || payload == "qWatchpointSupportInfo:")
    return QueryWatchpointSupport{};
  if (payload == "jThreadsInfo") return QueryThreadStops{};
  Fields fields(payload);
  if (fields.take("qThreadStopInfo")) {
    const auto thread = fields.thread_id();
    if (!thread || !fields.at_end()) return Malformed{"qThreadStopInfo wants a thread id"};
    return QueryThreadStop{*thread};
  }
  if (fields.take("MultiMemRead:ranges:")) return parse_spans(fields);
  if (fields.take("jMultiBreakpoint:")) return parse_changes(fields.rest());
  if (fields.take("_M") || fields.take("_m")) return AllocateMemory{};
  if (payload.front() == 'Q' || payload.front() == 'q') return parse_with_argument(payload);
  return Unknown{};
}

}  // namespace ringside::rsp
