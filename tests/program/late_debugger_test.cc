// A debug server for a machine that was started without one.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <string>

#include "base/testing/temporary_folder.h"
#include "support/child_process.h"
#include "support/debug_client.h"
#include "support/guest_image.h"

namespace ringside::testing {
namespace {

using Stream = ChildProcess::Stream;

std::uint16_t port_in(const std::string& line) {
  return static_cast<std::uint16_t>(std::stoi(line.substr(line.rfind(':') + 1)));
}

TEST(LateDebugger, ComesWhenASignalAsksForIt) {
  ChildProcess ringside({RINGSIDE_PROGRAM, "-c", "2", GuestImage("counters").path()});
  ringside.await_line(Stream::Error, "engine: ");
  ringside.kill(SIGUSR1);
  const std::string line = ringside.await_line(Stream::Error, "gdb: listening on 127.0.0.1:");
  DebugClient client(port_in(line));
  EXPECT_EQ(client.request("?"), "S05");
  EXPECT_EQ(monitor(client, "gdbserver"),
            "gdbserver: name an endpoint, such as 1234, HOST:1234 or unix:PATH\n");
  const GuestImage image("counters");
  client.run_to(image["tick"]);
  client.detach();
  client.close();
  // Once is enough, and where it listens it goes on.
  ringside.kill(SIGUSR1);
  ringside.await_line(Stream::Error, line + " already");
  DebugClient next(port_in(line));
  EXPECT_EQ(next.request("?"), "S05");
  ringside.kill(SIGTERM);
  EXPECT_EQ(ringside.await_exit(), 4);
}

TEST(LateDebugger, ComesWhenTheMonitorIsAskedForIt) {
  const TemporaryFolder folder;
  const std::string place = folder / "qmp";
  ChildProcess ringside(
      {RINGSIDE_PROGRAM, "--qmp", "unix:" + place, "-s", "none", GuestImage("counters").path()});
  ringside.await_line(Stream::Error, "qmp: listening on");
  RawClient qmp(place);
  qmp.send_bytes(
      "{\"execute\":\"qmp_capabilities\"}"
      "{\"execute\":\"human-monitor-command\","
      "\"arguments\":{\"command-line\":\"gdbserver stdio\"}}"  // refused
      "{\"execute\":\"human-monitor-command\","
      "\"arguments\":{\"command-line\":\"gdbserver 0\"}}");
  const std::string line = ringside.await_line(Stream::Error, "gdb: listening on 127.0.0.1:");
  DebugClient client(port_in(line));
  EXPECT_EQ(client.request("?"), "S05");
  client.run_to(GuestImage("counters")["tick"]);
}

}  // namespace
}  // namespace ringside::testing
