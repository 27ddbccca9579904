// The machine's power button: Debian's ACPI driver hears of it, and user space switches off.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "linux/linux_guest.h"
#include "support/debug_client.h"

namespace ringside::testing {
namespace {

using ::testing::HasSubstr;

TEST(LinuxPower, TheButtonSwitchesTheGuestOff) {
  const LinuxFiles files("cloud-amd64");
  if (!files.missing().empty()) GTEST_SKIP() << files.missing();
  LinuxGuest guest(files, {.arguments = {"-G", "0"}});
  LinuxShell& shell = guest.shell();
  shell.await_prompt();
  const std::string target = guest.gdb_target();
  const auto port = static_cast<std::uint16_t>(std::stoi(target.substr(target.rfind(':') + 1)));
  const auto press = [&] {
    DebugClient client(port);
    const std::string said = unhex(client.request("qRcmd," + hex("system_powerdown")));
    client.detach();
    return said;
  };
  EXPECT_THAT(press(), HasSubstr("has not enabled it"));

  shell.output_of("insmod /modules/evdev.ko && insmod /modules/button.ko");
  // What Debian's logind does: it waits for the key of the power button. The device is open before
  // the button is pressed, so that the key is kept.
  shell.output_of(
      "for event in /sys/class/input/event*; do grep -q LNXPWRBN $event/device/phys && "
      "button=/dev/input/${event##*/}; done; test -c $button && exec 3<$button");
  shell.start("dd of=/dev/null bs=24 count=1 <&3 2>/dev/null && poweroff -f");
  ASSERT_THAT(press(), HasSubstr("hears of it"));
  EXPECT_EQ(guest.process().await_exit(boot_deadline()), 1);
}

// As rtcwake does: an alarm of the clock, and S3. Processors and console are there again.
TEST(LinuxPower, ItSleepsUntilItsClockWakesIt) {
  const LinuxFiles files("amd64");
  if (!files.missing().empty()) GTEST_SKIP() << files.missing();
  LinuxGuest guest(files, {.cpus = 2});
  LinuxShell& shell = guest.shell();
  shell.await_prompt();
  EXPECT_THAT(shell.output_of("cat /sys/power/state"), HasSubstr("mem"));
  const auto seconds = [&] {
    return std::stoi(shell.output_of("cat /sys/class/rtc/rtc0/since_epoch"));
  };
  const int before = seconds();
  shell.output_of("echo +5 >/sys/class/rtc/rtc0/wakealarm && echo mem >/sys/power/state");
  const int slept = seconds() - before;
  EXPECT_GE(slept, 5);
  EXPECT_LT(slept, 60);
  EXPECT_THAT(guest.process().text(ChildProcess::Stream::Error),
              HasSubstr("asleep (ACPI S3), until its clock's alarm"));
  EXPECT_EQ(shell.output_of("grep -c ^processor /proc/cpuinfo"), "2\n");
  EXPECT_EQ(shell.output_of("cat /sys/power/suspend_stats/success"), "1\n");
  EXPECT_EQ(shell.end("poweroff -f"), 1);
}

// What its DMI code has found, and which clocks.
TEST(LinuxPower, ItKnowsTheMachineAndItsTimers) {
  const LinuxFiles files("amd64");
  if (!files.missing().empty()) GTEST_SKIP() << files.missing();
  LinuxGuest guest(files);
  LinuxShell& shell = guest.shell();
  shell.await_prompt();
  EXPECT_EQ(shell.output_of("cd /sys/class/dmi/id && cat sys_vendor product_name bios_date"),
            "ringside\nvirtual machine\n01/01/2024\n");
  const std::string clocks = "/sys/devices/system/clocksource/clocksource0/";
  EXPECT_THAT(shell.output_of("cat " + clocks + "available_clocksource"), HasSubstr("hpet"));
  EXPECT_EQ(shell.output_of("cat " + clocks + "current_clocksource"), "tsc\n");
  shell.output_of("echo hpet >" + clocks + "current_clocksource && sleep 2");
  EXPECT_EQ(shell.output_of("cat " + clocks + "current_clocksource"), "hpet\n");
  EXPECT_EQ(shell.end("poweroff -f"), 1);
}

}  // namespace
}  // namespace ringside::testing
