// H T qC qfThreadInfo qsThreadInfo qThreadExtraInfo. GDB manual, "Packets" and "General Query
// Packets".
#include "rsp/families.h"
#include "rsp/fields.h"

namespace ringside::rsp {

void append_id(std::string& out, std::uint64_t number) {
  static constexpr char kDigits[] = "0123456789abcdef";
  int shift = 56;
  while (shift > 0 && number >> shift == 0)
    shift -= 8;
  for (; shift >= 0; shift -= 8) {
    out += kDigits[number >> (shift + 4) & 15];
    out += kDigits[number >> shift & 15];
  }
}

void append_thread_id(std::string& out, std::optional<std::uint64_t> process,
                      std::uint64_t thread) {
  if (process) {
    out += 'p';
    append_id(out, *process);
    out += '.';
  }
  append_id(out, thread);
}

Request parse_thread(std::string_view payload) {
  Fields fields(payload.substr(1));
  if (payload.front() == 'T') {
    const auto thread = fields.thread_id();
    if (!thread || !fields.at_end()) return Malformed{"T wants a thread id"};
    return IsThreadAlive{*thread};
  }
  SelectThread select;
  if (fields.take('g')) {
    select.use = ThreadUse::General;
  } else if (fields.take('c')) {
    select.use = ThreadUse::Resume;
  } else {
    return Malformed{"H wants g or c"};
  }
  const auto thread = fields.thread_id();
  if (!thread || !fields.at_end()) return Malformed{"H wants a thread id"};
  select.thread = *thread;
  return select;
}

Request parse_thread_query(std::string_view payload) {
  if (payload == "qC") return CurrentThread{};
  if (payload == "qfThreadInfo") return FirstThreads{};
  if (payload == "qsThreadInfo") return MoreThreads{};
  Fields fields(payload);
  if (!fields.take("qThreadExtraInfo")) return Malformed{"the query takes no argument"};
  if (!fields.take(',')) return Malformed{"qThreadExtraInfo wants ,thread"};
  const auto thread = fields.thread_id();
  if (!thread || !fields.at_end()) return Malformed{"qThreadExtraInfo wants a thread id"};
  return ThreadDescription{*thread};
}

}  // namespace ringside::rsp
