// What the host cannot do for a device, and what a guest does wrong with one, is a line on stderr:
// one, however often it is tried. (Disks of servers: nbd_test.cc, where files that are cut are,
// too; folders that vanish: linux/share_test.cc.)
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "base/testing/temporary_folder.h"
#include "support/guest_process.h"
#include "support/host.h"

namespace ringside::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using Stream = ChildProcess::Stream;

// The ledger has one request at a time in its queue; an index that says more than there is room for
// makes no sense.
TEST(BrokenDevices, AQueueThatMakesNoSenseIsOneLine) {
  SKIP_IF(host::no_engine(engine()));
  const TemporaryFolder folder;
  const std::string image = folder / "image";
  std::ofstream(image) << std::string(8192, '\0');
  GuestProcess guest("ledger", {.arguments = {"-d", image}});
  DebugClient client = guest.attach();
  client.request("qSupported:swbreak+;vContSupported+");
  const auto said = [&] { return guest.process().text(Stream::Error); };
  const std::uint64_t place = guest["set_name"];
  client.insert(place);
  client.resume();
  client.await_stop();
  EXPECT_THAT(said(), Not(HasSubstr("makes no sense")));
  client.write(guest["available"] + 2, little_endian(0x7fff, 2));
  client.remove(place);
  client.resume();
  guest.process().await(Stream::Error,
                        "guest: what its driver has put into a queue of the virtio disk 0 makes no "
                        "sense; the device does nothing more until the driver resets it\n");
}

}  // namespace
}  // namespace ringside::testing
