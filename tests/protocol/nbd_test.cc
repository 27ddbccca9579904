// A disk that an NBD server has, under a guest that writes, with each engine: what it writes is
// there, and a server that fails, or is gone, is an error to the guest and to nobody else.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "base/testing/temporary_folder.h"
#include "nbd/testing/server.h"
#include "support/guest_process.h"
#include "support/host.h"

namespace ringside::testing {
namespace {

using nbd::testing::Fault;
using ::testing::HasSubstr;

// The ledger writes a sector in each eighth round: what is in it are the rounds' numbers.
constexpr unsigned kSector = 512, kSectors = 16;

TEST(DiskOfAServer, IsWrittenAndMayFail) {
  SKIP_IF(host::no_engine(engine()));
  SKIP_IF(host::no_library("libnbd.so.0"));
  const TemporaryFolder folder;
  const std::string socket = folder / "socket";
  nbd::testing::Server server(socket, nbd::testing::Export{kSectors * kSector});
  GuestProcess guest("ledger", {.arguments = {"-d", "nbd+unix:" + socket}});
  DebugClient client = guest.attach();
  client.request("qSupported:swbreak+;vContSupported+");
  const std::uint64_t place = guest["set_name"];
  client.insert(place);
  client.resume();
  client.await_stop();
  const auto run_to = [&](std::uint64_t round) {
    while (client.read_u64(guest["rounds"]) < round)
      client.resume_past(place);
  };
  const auto said = [&] { return guest.process().text(ChildProcess::Stream::Error); };
  const auto first_byte = [&](unsigned sector) {
    return std::to_integer<unsigned>(server.content()[sector * kSector]);
  };
  run_to(20);
  for (const unsigned sector : {0u, 1u, 2u})
    EXPECT_EQ(first_byte(sector), 8 * sector);
  server.set(Fault::WriteFails);
  run_to(30);
  EXPECT_EQ(first_byte(3), 0u);
  EXPECT_THAT(said(), HasSubstr("a write of 512 bytes"));
  server.set(Fault::None);
  run_to(40);
  EXPECT_EQ(first_byte(4), 32u);
  server.end();
  run_to(60);
  EXPECT_THAT(said(), HasSubstr("the server is gone, and the guest gets errors"));
}

}  // namespace
}  // namespace ringside::testing
