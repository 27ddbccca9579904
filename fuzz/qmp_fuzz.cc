// Arbitrary bytes as a client of the machine protocol, with a machine that does nothing but note
// what it is asked for. The first byte says how the stream is cut into reads, whether the client
// reads, and whether tasks take time. After all of it, the known-good state: a request is answered.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "check.h"
#include "qmp/session.h"
#include "qmp/testing/fake_machine.h"

namespace {

using namespace ringside;
using fuzz::check;

// Answers are whole lines, and none has a control character in it.
void check_lines(std::string_view said) {
  check(said.ends_with("\r\n"));
  for (const char c : said)
    check(static_cast<unsigned char>(c) >= ' ' || c == '\r' || c == '\n');
}

void take(qmp::Session& session) {
  if (session.output().empty()) return;
  check_lines(session.output());
  session.wrote(session.output().size());
}

void expect_answer(qmp::Session& session) {
  take(session);
  session.on_bytes(
      "\xff\n{\"execute\": \"qmp_capabilities\"}{\"execute\": \"nosuch\", \"id\": \"end\"}");
  std::string said;
  for (bool more = true; more;) {
    session.work();
    said += session.output();
    session.wrote(session.output().size());
    more = session.has_work();
  }
  check(said.find("{\"id\": \"end\", \"error\": ") != std::string::npos);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  std::string_view stream(reinterpret_cast<const char*>(data) + 1, size - 1);
  const unsigned mode = data[0];
  const bool reads = (mode & 0x40) != 0, takes_time = (mode & 0x80) != 0;
  qmp::testing::FakeMachine machine;
  qmp::Session session(machine, [] { return qmp::Moment{}; });
  std::size_t cut = 1 + (mode & 0x3f);
  for (unsigned round = 0; !stream.empty() && session.room() > 0; ++round) {
    const std::size_t count = std::min({cut, stream.size(), session.room()});
    session.on_bytes(stream.substr(0, count));
    stream.remove_prefix(count);
    machine.takes_time = takes_time && round % 3 != 0;
    machine.fails = round % 5 == 4 ? "\x01 no" : "";
    session.work();
    if (reads) take(session);
    check(session.output().size() < 4u << 20);
  }
  machine.takes_time = false;
  expect_answer(session);
  return 0;
}
