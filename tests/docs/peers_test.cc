// The README's table of debug servers, as far as it can be asked: ringside, QEMU and gdbserver are
// started and get the packets that a row is about. bhyve's server runs on FreeBSD only.
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <fstream>
#include <functional>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "support/child_process.h"
#include "support/debug_client.h"
#include "support/guest_image.h"
#include "support/guest_process.h"
#include "support/host.h"
#include "support/qemu.h"

namespace ringside::testing {
namespace {

using Stream = ChildProcess::Stream;

// A debug server with the guest `counters`, or a program of the host's, held at its beginning.
struct Peer {
  explicit Peer(const std::vector<std::string>& command)
      : process(std::make_unique<ChildProcess>(command)) {}
  DebugClient connect() const { return path.empty() ? DebugClient(port) : DebugClient(path); }

  std::unique_ptr<ChildProcess> process;
  std::uint16_t port = 0;
  std::string path;
};

std::uint16_t port_in(const std::string& line, char before) {
  return static_cast<std::uint16_t>(std::stoul(line.substr(line.rfind(before) + 1)));
}

Peer start_ringside(const GuestImage& image) {
  Peer peer({RINGSIDE_PROGRAM, "-e", engine(), "-G", "w0", image.path()});
  peer.port = port_in(peer.process->await_line(Stream::Error, "gdb: listening on "), ':');
  return peer;
}

Peer start_gdbserver() {
  Peer peer({"gdbserver", "--once", "127.0.0.1:0", "/bin/true"});
  peer.port = port_in(peer.process->await_line(Stream::Error, "Listening on port "), ' ');
  return peer;
}

Peer start_qemu(const GuestImage& image) {
  const std::string path = ::testing::TempDir() + "ringside-peer-" + std::to_string(::getpid());
  Peer peer(qemu_command(
      1, "256M",
      {"-S", "-gdb", "unix:" + path + ",server=on,wait=off", "-kernel", image.path32()}));
  peer.path = path;
  // It does not say when it listens.
  for (const Deadline deadline;;) {
    try {
      peer.connect();
      return peer;
    } catch (const std::exception&) {
      if (deadline.passed()) throw;
    }
  }
}

// A peer and a client of it, which has said what GDB says first.
struct Session {
  explicit Session(Peer started) : peer(std::move(started)), client(peer.connect()) {
    features = ";" + client.request("qSupported:multiprocess+;swbreak+;hwbreak+") + ";";
    parse_stop(client.request("?"));
  }
  bool supports(const std::string& feature) const {
    return features.find(";" + feature + ";") != std::string::npos;
  }
  bool takes(const std::string& request) { return client.request(request) == "OK"; }
  // Lets the guest run until it says that it is there, and stops it.
  void run_to_work() {
    client.resume();
    peer.process->await(Stream::Output, "0");
    client.stop();
  }

  Peer peer;
  DebugClient client;
  std::string features;
};

// What the README says.
enum class Expected { No, Yes };

bool meets_every_mapping(Session& session, const GuestImage& image) {
  session.run_to_work();
  session.client.insert(image["function"]);
  session.client.resume();
  session.client.await_stop();
  for (int i = 0; i < 20; ++i) {
    const std::uint64_t rip = session.client.rip();
    if (rip == image["alias"]) return true;
    session.client.resume_past(rip);
  }
  return false;
}

// The guest counts for ever. It gets time to do so: until its process has used the processor, or,
// where the guest is said to stand still, for a moment.
bool runs_on_when_the_client_is_gone(Session& session, const GuestImage& image, Expected expected) {
  session.run_to_work();
  const std::uint64_t before = session.client.read_u64(image["counters"]);
  session.client.reset();
  const std::chrono::milliseconds wait(expected == Expected::Yes ? 20'000 : 300);
  try {
    session.peer.process->await_busy(Deadline(wait));
  } catch (const std::exception&) {
    // It has not moved, or another thread than the one that is looked at has.
  }
  session.client = session.peer.connect();
  // QEMU tells of a stop unasked.
  if (!session.client.silent_for(std::chrono::milliseconds(20))) session.client.receive();
  session.client.request("?");
  return session.client.read_u64(image["counters"]) != before;
}

struct Question {
  const char* row;
  const char* guest;
  std::function<bool(Session&, const GuestImage&, Expected)> answer;
  bool of_processes = true;  // gdbserver can be asked
};

const std::array kQuestions = {
    Question{
        "a breakpoint is met through every mapping of its page", "aliases",
        [](Session& s, const GuestImage& image, Expected) { return meets_every_mapping(s, image); },
        false},
    Question{"the guest runs on when the debugger vanishes", "counters",
             [](Session& s, const GuestImage& image, Expected expected) {
               return runs_on_when_the_client_is_gone(s, image, expected);
             },
             false},
    Question{"conditions are evaluated in the server", "counters",
             [](Session& s, const GuestImage&, Expected) {
               return s.supports("ConditionalBreakpoints+");
             }},
    Question{"a source line is one step", "counters",
             [](Session& s, const GuestImage&, Expected) {
               return s.client.request("vCont?").find(";r") != std::string::npos;
             }},
    Question{"reads are watched", "counters",
             [](Session& s, const GuestImage& image, Expected) {
               return s.takes("Z3," + hex_number(image["counters"]) + ",4");
             }},
    Question{"memory in binary, no acknowledgements", "counters",
             [](Session& s, const GuestImage&, Expected) {
               return s.takes("X1000,0:") && s.takes("QStartNoAckMode");
             }},
    Question{"memory is searched in the server", "counters",
             [](Session& s, const GuestImage& image, Expected) {
               return !s.client.request("qSearch:memory:" + hex_number(image["counters"]) + ";10;a")
                           .empty();
             }},
    Question{"registers can be written", "counters",
             [](Session& s, const GuestImage&, Expected) {
               return s.takes("G" + s.client.request("g"));
             }},
    Question{"one thread stops while the others run", "counters",
             [](Session& s, const GuestImage&, Expected) { return s.takes("QNonStop:1"); }},
};

// A row of the README's table: its cells, the first of which is what it is about.
std::vector<std::string> row_of(const std::string& what) {
  std::ifstream readme(std::string(RINGSIDE_SOURCE) + "/README.md");
  for (std::string line; std::getline(readme, line);) {
    if (line.rfind("| " + what + " |", 0) != 0) continue;
    std::vector<std::string> cells;
    std::istringstream rest(line.substr(1));
    for (std::string cell; std::getline(rest, cell, '|');)
      cells.push_back(cell.substr(1, cell.size() - 2));
    return cells;
  }
  throw std::runtime_error("the README has no row: " + what);
}

// Asks one question; `column` is the peer's in the README's table. A cell is yes or no, and perhaps
// more words.
void expect_cell(const Question& question, std::size_t column, Session session,
                 const GuestImage& image) {
  const std::string cell = row_of(question.row).at(column);
  const Expected expected = cell.starts_with("yes") ? Expected::Yes : Expected::No;
  const bool answer = question.answer(session, image, expected);
  EXPECT_EQ(cell.substr(0, cell.find_first_of(" ,:")), answer ? "yes" : "no") << question.row;
}

TEST(Peers, RingsideIsAsTheReadmeSays) {
  for (const Question& question : kQuestions) {
    const GuestImage image(question.guest);
    expect_cell(question, 1, Session(start_ringside(image)), image);
  }
}

TEST(Peers, QemuIsAsTheReadmeSays) {
  SKIP_IF(no_qemu());
  if (!qemu_is("7.2")) GTEST_SKIP() << "the README is about QEMU 7.2";
  for (const Question& question : kQuestions) {
    const GuestImage image(question.guest);
    expect_cell(question, 2, Session(start_qemu(image)), image);
  }
}

TEST(Peers, GdbserverIsAsTheReadmeSays) {
  SKIP_IF(host::no_program("gdbserver"));
  for (const Question& question : kQuestions) {
    if (!question.of_processes) continue;
    const GuestImage image(question.guest);
    expect_cell(question, 3, Session(start_gdbserver()), image);
  }
}

}  // namespace
}  // namespace ringside::testing
