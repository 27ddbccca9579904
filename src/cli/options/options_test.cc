#include "cli/options/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "base/testing/temporary_folder.h"

namespace ringside::cli {
namespace {

using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;
using transport::FdEndpoint;
using transport::StdioEndpoint;
using transport::TcpEndpoint;
using transport::UnixEndpoint;

Result<CommandLine> parse(std::vector<const char*> words) {
  words.insert(words.begin(), "ringside");
  return parse_command_line(static_cast<int>(words.size()), words.data());
}
Options options(std::vector<const char*> words) {
  const Result<CommandLine> line = parse(std::move(words));
  EXPECT_TRUE(line) << (line ? "" : line.error().text());
  return line ? line->options : Options{};
}
std::string error(std::vector<const char*> words) {
  const Result<CommandLine> line = parse(std::move(words));
  return line ? "accepted" : line.error().text();
}

TEST(CommandLine, DefaultsAreThoseOfTheManual) {
  const Options o = options({"kernel"});
  EXPECT_EQ(o.kernel, "kernel");
  EXPECT_EQ(o.cpus, 1u);
  EXPECT_EQ(o.memory, 256u << 20);
  EXPECT_EQ(o.engine, EngineChoice::Auto);
  EXPECT_FALSE(o.gdb || o.guest_gdb || o.debug_exit || o.probe);
  EXPECT_TRUE(std::holds_alternative<StdioStream>(o.serial));
  EXPECT_TRUE(std::holds_alternative<NoStream>(o.debugcon));
  EXPECT_EQ(o.pace, Pace::On);
  EXPECT_EQ(o.translate, Translate::On);
  EXPECT_FALSE(o.date || o.perf_map);
  EXPECT_EQ(o.on_kill, debug::OnKill::Detach);
}

TEST(CommandLine, EveryOptionInBothForms) {
  const Options s = options({"-c", "4", "-m", "1G", "-e", "soft", "-i", "a.img", "-a", "x y", "-G",
                             "w1234", "-g", "5678", "-s", "none", "kernel"});
  const Options l =
      options({"--cpus=4", "--memory=1G", "--engine=soft", "--initrd=a.img", "--append=x y",
               "--gdb=w1234", "--guest-gdb=5678", "--serial=none", "kernel"});
  for (const Options& o : {s, l}) {
    EXPECT_EQ(o.kernel, "kernel");
    EXPECT_EQ(o.cpus, 4u);
    EXPECT_EQ(o.memory, 1u << 30);
    EXPECT_EQ(o.engine, EngineChoice::Soft);
    ASSERT_EQ(o.modules.size(), 1u);
    EXPECT_EQ(o.modules[0].path, "a.img");
    EXPECT_EQ(o.append, "x y");
    ASSERT_TRUE(o.gdb);
    EXPECT_TRUE(o.gdb->wait);
    EXPECT_EQ(o.gdb->endpoint, (transport::Endpoint{TcpEndpoint{"127.0.0.1", 1234}}));
    EXPECT_EQ(o.guest_gdb, (transport::Endpoint{TcpEndpoint{"127.0.0.1", 5678}}));
    EXPECT_TRUE(std::holds_alternative<NoStream>(o.serial));
  }
  const Options rest =
      options({"--debug-exit", "--debugcon", "file:log", "--pace", "off", "--translate", "off",
               "--on-kill", "stop", "--log", "debug", "--record", "journal", "kernel"});
  EXPECT_TRUE(rest.debug_exit);
  EXPECT_EQ(std::get<FileStream>(rest.debugcon).path, "log");
  EXPECT_EQ(rest.pace, Pace::Off);
  EXPECT_EQ(rest.translate, Translate::Off);
  EXPECT_EQ(rest.on_kill, debug::OnKill::Stop);
  EXPECT_EQ(rest.log_level, log::Level::Debug);
  EXPECT_EQ(rest.record, "journal");
}

TEST(CommandLine, Processors) {
  using hypervisor::Processor;
  EXPECT_FALSE(options({"k"}).processor);
  EXPECT_EQ(options({"--cpu", "v2", "k"}).processor, Processor::V2);
  EXPECT_EQ(options({"--cpu", "v3", "-e", "soft", "k"}).processor, Processor::V3);
  EXPECT_FALSE(options({"--cpu", "host", "-e", "kvm", "k"}).processor);
}

TEST(CommandLine, Dates) {
  EXPECT_EQ(options({"--seed", "0x1f", "k"}).seed, 31u);
  EXPECT_TRUE(std::holds_alternative<HostsDate>(options({"--date", "host", "k"}).date.value()));
  for (const char* seconds : {"0", "1764144000", "253402300799"}) {
    const Options o = options({"--date", seconds, "k"});
    EXPECT_EQ(std::to_string(std::get<std::int64_t>(o.date.value())), seconds);
  }
}

TEST(CommandLine, ASavedMachineStandsForAKernel) {
  const Options o = options({"--restore", "file", "-c", "2", "-G", "1234", "--files", "/tmp"});
  EXPECT_EQ(o.restore, "file");
  EXPECT_EQ(o.engine, EngineChoice::Soft);
  EXPECT_TRUE(o.cpus_given);
  EXPECT_FALSE(o.memory_given);
  EXPECT_EQ(o.files, "/tmp");
  EXPECT_EQ(options({"--save", "file", "kernel"}).save, "file");
  const std::string no = "--restore goes on with a saved machine, so there can be no ";
  EXPECT_EQ(error({"--restore", "file", "kernel"}), no + "KERNEL");
  EXPECT_EQ(error({"--restore", "file", "-i", "initrd"}), no + "--initrd");
  EXPECT_EQ(error({"--restore", ""}), "--restore: '' has no file name");
  EXPECT_EQ(error({"-e", "kvm", "--save", "file", "kernel"}),
            "--save needs the software CPU, not --engine kvm");
  EXPECT_EQ(error({"-e", "kvm", "--history", "1G", "kernel"}),
            "--history needs the software CPU, not --engine kvm");
  EXPECT_EQ(options({"-e", "kvm", "--history", "off", "kernel"}).history, 0u);
}

TEST(CommandLine, Disks) {
  const Options o = options({"-d", "one.img", "--disk=two,ro", "-d", "a,b,ro.img", "kernel"});
  ASSERT_EQ(o.disks.size(), 3u);
  EXPECT_EQ(o.disks[0].path, "one.img");
  EXPECT_FALSE(o.disks[0].read_only);
  EXPECT_EQ(o.disks[1].path, "two");
  EXPECT_TRUE(o.disks[1].read_only);
  EXPECT_EQ(o.disks[2].path, "a,b,ro.img");
  const DiskOption snapshot = options({"-d", "one.img,snapshot", "kernel"}).disks.at(0);
  EXPECT_EQ(snapshot.path, "one.img");
  EXPECT_TRUE(snapshot.is_snapshot && !snapshot.read_only);
  EXPECT_EQ(error({"-d", "one.img,snapshot", "--save", "later", "kernel"}),
            "--save: one.img is a snapshot, and what the guest writes to it would be missing");
  std::vector<const char*> many(19, "-d");
  for (std::size_t i = 1; i < 18; i += 2)
    many[i] = "x";
  many[18] = "kernel";
  EXPECT_EQ(error(many),
            "9 virtio devices (--disk, --net, --share, --vsock, --rng, --console) are more than "
            "the 8 that "
            "fit");
}

TEST(CommandLine, NetworkAndSharedFolders) {
  EXPECT_FALSE(options({"kernel"}).network);
  EXPECT_FALSE(options({"-n", "none", "kernel"}).network);
  EXPECT_EQ(
      options({"-n", "user,forward=tcp:127.0.0.1:2222:22", "kernel"}).network->forwards.size(), 1u);
  const Options o =
      options({"--share", "a", "--share", "/b,tag=tools,ro", "--share=c,d", "kernel"});
  using companions::SharedFolder;
  using share::Access;
  EXPECT_EQ(o.shares, (std::vector<SharedFolder>{{"a", "share0", Access::ReadWrite},
                                                 {"/b", "tools", Access::ReadOnly},
                                                 {"c,d", "share2", Access::ReadWrite}}));
  EXPECT_EQ(options({"--share", "a,ro,tag=x", "kernel"}).shares,
            (std::vector<SharedFolder>{{"a", "x", Access::ReadOnly}}));
  EXPECT_EQ(virtio_devices(options({"-d", "x", "-n", "user", "--share", "a", "kernel"})), 3u);
  EXPECT_EQ(error({"--share", ",ro", "kernel"}),
            "--share: ',ro' names no directory; type DIR[,tag=NAME][,ro]");
  EXPECT_EQ(error({"--share", "a,tag=", "kernel"}),
            "--share: the tag '' is not 1 to 31 letters, digits, '-', '_' or '.'");
  EXPECT_EQ(error({"--share", "a,tag=b/c", "kernel"}),
            "--share: the tag 'b/c' is not 1 to 31 letters, digits, '-', '_' or '.'");
  EXPECT_EQ(error({"--share", ("a,tag=" + std::string(40'000, 'x')).c_str(), "kernel"}),
            "--share: the tag '" + std::string(60, 'x') +
                "...' is not 1 to 31 letters, digits, '-', '_' or '.'");
  EXPECT_EQ(error({"--share", "a,tag=b,tag=c", "kernel"}), "--share: 'a,tag=b,tag=c' has two tags");
  EXPECT_EQ(error({"--share", "a,tag=share1", "--share", "b", "kernel"}),
            "--share: two folders have the tag 'share1'; ,tag=NAME tells them apart");
}

TEST(CommandLine, SocketsOfTheGuest) {
  EXPECT_FALSE(options({"kernel"}).vsock);
  EXPECT_FALSE(options({"--vsock", "none", "kernel"}).vsock);
  const Options given = options({"--vsock", "a,cid=9", "kernel"});
  EXPECT_EQ(*given.vsock, (vsock::VsockOptions{"a", 9, true}));
  EXPECT_EQ(virtio_devices(given), 1u);
  EXPECT_EQ(error({"--vsock", "a,cid=2", "kernel"}),
            "--vsock: cid=2 is not a number from 3 to 4294967294: those below it are not a "
            "guest's");
}

TEST(CommandLine, RandomNumbersAndVirtioConsole) {
  const Options plain = options({"--rng", "none", "--console", "none", "kernel"});
  EXPECT_EQ(plain.rng, Rng::None);
  EXPECT_TRUE(std::holds_alternative<NoStream>(plain.console));
  EXPECT_TRUE(std::holds_alternative<StdioStream>(plain.serial));
  EXPECT_EQ(virtio_devices(plain), 0u);
  const Options both = options({"--rng", "host", "--console", "stdio", "kernel"});
  EXPECT_EQ(both.rng, Rng::Host);
  EXPECT_TRUE(std::holds_alternative<StdioStream>(both.console));
  EXPECT_TRUE(std::holds_alternative<NoStream>(both.serial)) << "there is one keyboard";
  EXPECT_EQ(virtio_devices(both), 2u);
  const Options file = options({"--console", "file:x", "kernel"});
  EXPECT_EQ(std::get<FileStream>(file.console).path, "x");
  EXPECT_TRUE(std::holds_alternative<StdioStream>(file.serial));
  EXPECT_TRUE(std::holds_alternative<transport::Endpoint>(
      options({"--console", "unix:x", "kernel"}).console));
  options({"--console", "stdio", "--debugcon", "stdio", "kernel"});
  EXPECT_EQ(error({"--rng", "guest", "kernel"}), "--rng: 'guest' is not one of host, none");
  EXPECT_EQ(error({"--console", "file:", "kernel"}), "--console: 'file:' has no path");
  EXPECT_EQ(error({"--console", "stdio", "-s", "stdio", "kernel"}),
            "--serial and --console cannot both use stdio");
  EXPECT_EQ(error({"--console", "stdio", "-G", "stdio", "kernel"}),
            "--gdb and --console cannot both use stdio");
}

TEST(CommandLine, FirmwareVariables) {
  EXPECT_FALSE(options({"--bios", "b"}).firmware_vars);
  EXPECT_EQ(options({"--bios", "b", "--firmware-vars", "v"}).firmware_vars->path, "v");
  EXPECT_TRUE(options({"--bios", "b", "--firmware-vars", "v,ro"}).firmware_vars->read_only);
  EXPECT_TRUE(
      options({"--restore", "f", "--firmware-vars", "v,snapshot"}).firmware_vars->is_snapshot);
  EXPECT_EQ(error({"--firmware-vars", "v", "kernel"}),
            "--firmware-vars is for firmware, so there must be a --bios");
  EXPECT_EQ(error({"--bios", "b", "--firmware-vars", ",ro"}),
            "--firmware-vars: ',ro' has no file name");
}

TEST(CommandLine, AKernelForFirmware) {
  const Options given = options({"--bios", "b", "kernel", "-i", "initrd", "-a", "quiet"});
  EXPECT_EQ(given.bios, "b");
  EXPECT_EQ(given.kernel, "kernel");
  EXPECT_EQ(given.modules.at(0).path, "initrd");
  EXPECT_EQ(given.append, "quiet");
  EXPECT_EQ(options({"--bios", "b"}).kernel, "");
}

TEST(CommandLine, WordsBehindANameAreTold) {
  const ringside::testing::TemporaryFolder scratch;
  const std::string file = scratch / "file", with_comma = file + ",but";
  std::ofstream(file) << "content";
  for (const std::string words : {",foo", ",ro,snapshot", ",snapshot,ro"}) {
    const std::string text = file + words;
    const std::string there =
        "'; behind '" + file + "' there can be ,ro or ,snapshot, and not both";
    EXPECT_THAT(error({"-d", text.c_str(), "kernel"}),
                AllOf(StartsWith("--disk: there is no '" + file + ","), EndsWith(there)));
    EXPECT_THAT(error({"--bios", "b", "--firmware-vars", text.c_str()}),
                AllOf(StartsWith("--firmware-vars: there is no '" + file + ","), EndsWith(there)));
  }
  const std::string folder = scratch.path(), share = folder + ",foo,ro";
  EXPECT_EQ(error({"--share", share.c_str(), "kernel"}), "--share: there is no '" + folder +
                                                             ",foo'; behind '" + folder +
                                                             "' there can be ,tag=NAME and ,ro");
  std::ofstream(with_comma) << "content";
  EXPECT_EQ(options({"-d", with_comma.c_str(), "kernel"}).disks.front().path, with_comma);
}

TEST(CommandLine, DisksAreOnThePciBusUnlessItIsOff) {
  using machine::VirtioBus;
  EXPECT_EQ(options({"kernel"}).virtio_bus, VirtioBus::Pci);
  EXPECT_EQ(options({"--virtio", "mmio", "kernel"}).virtio_bus, VirtioBus::Mmio);
  EXPECT_EQ(options({"-a", "quiet pci=off", "kernel"}).virtio_bus, VirtioBus::Mmio);
  EXPECT_EQ(options({"-a", "pci=noacpi,off", "kernel"}).virtio_bus, VirtioBus::Mmio);
  EXPECT_EQ(options({"-a", "pci=off,noacpi", "kernel"}).virtio_bus, VirtioBus::Mmio);
  EXPECT_EQ(options({"-a", "pci=offset", "kernel"}).virtio_bus, VirtioBus::Pci);
  EXPECT_EQ(options({"-a", "pci=noacpi x=off", "kernel"}).virtio_bus, VirtioBus::Pci);
  EXPECT_EQ(options({"-a", "pci=off", "--virtio", "pci", "kernel"}).virtio_bus, VirtioBus::Pci);
  EXPECT_EQ(error({"--virtio", "isa", "kernel"}), "--virtio: 'isa' is not one of pci, mmio");
}

TEST(CommandLine, OptionsMayFollowTheKernel) {
  const Options o = options({"-i", "one", "kernel", "-i", "two with words", "--debug-exit"});
  EXPECT_EQ(o.kernel, "kernel");
  ASSERT_EQ(o.modules.size(), 2u);
  EXPECT_EQ(o.modules[0].argument, "");
  EXPECT_EQ(o.modules[1].path, "two");
  EXPECT_EQ(o.modules[1].argument, "with words");
}

TEST(CommandLine, AModulesNameMayHaveBlanks) {
  const std::string file =
      ::testing::TempDir() + "ringside module " + std::to_string(::getpid()) + " of a test";
  std::ofstream(file) << "content";
  const Options o = options({"kernel", "-i", file.c_str()});
  ::unlink(file.c_str());
  ASSERT_EQ(o.modules.size(), 1u);
  EXPECT_EQ(o.modules[0].path, file);
  EXPECT_EQ(o.modules[0].argument, "");
}

TEST(CommandLine, DebuggerEndpoints) {
  struct Row {
    const char* text;
    bool wait;
    transport::Endpoint endpoint;
  };
  const Row rows[] = {
      {"0", false, TcpEndpoint{"127.0.0.1", 0}},
      {"w0", true, TcpEndpoint{"127.0.0.1", 0}},
      {"0.0.0.0:99", false, TcpEndpoint{"0.0.0.0", 99}},
      {"w[::1]:1234", true, TcpEndpoint{"::1", 1234}},
      {"w::1:1234", true, TcpEndpoint{"::1", 1234}},
      {"unix:/run/x", false, UnixEndpoint{"/run/x"}},
      {"wunix:x", true, UnixEndpoint{"x"}},
      {"wstdio", true, StdioEndpoint{}},
      {"fd:3", false, FdEndpoint{3}},
      {"wfd:3", true, FdEndpoint{3}},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.text);
    const Options o = options({"-G", row.text, "kernel"});
    ASSERT_TRUE(o.gdb);
    EXPECT_EQ(o.gdb->wait, row.wait);
    EXPECT_EQ(o.gdb->endpoint, row.endpoint);
  }
  for (const char* text : {"", "w", "x", "65536", "127.0.0.1:", ":", "[::1", "[::1]", "unix:"}) {
    EXPECT_NE(error({"-G", text, "kernel"}).find("--gdb: "), std::string::npos) << text;
  }
}

TEST(CommandLine, TheMachineProtocolHasAUnixSocket) {
  EXPECT_FALSE(options({"kernel"}).qmp);
  EXPECT_EQ(to_string(*options({"--qmp", "unix:/tmp/q", "kernel"}).qmp), "unix:/tmp/q");
  EXPECT_EQ(to_string(*options({"--qmp", "unix:a,b", "kernel"}).qmp), "unix:a,b");
  for (const char* other : {"1234", "stdio", "fd:3", "127.0.0.1:1"}) {
    EXPECT_EQ(error({"--qmp", other, "kernel"}),
              "--qmp: '" + std::string(other) +
                  "' is not unix:PATH; who can reach the socket controls the guest");
  }
  EXPECT_EQ(error({"--qmp", "unix:q,server=on,wait=off", "kernel"}),
            "--qmp: the socket always listens and nobody waits for it, so type unix:q alone");
}

TEST(CommandLine, StandardInputAndOutputHaveOneUser) {
  EXPECT_TRUE(std::holds_alternative<NoStream>(options({"-G", "stdio", "kernel"}).serial));
  EXPECT_TRUE(std::holds_alternative<NoStream>(options({"-g", "stdio", "kernel"}).serial));
  options({"--debugcon", "stdio", "kernel"});
  EXPECT_EQ(error({"-G", "stdio", "-s", "stdio", "kernel"}),
            "--gdb and --serial cannot both use stdio");
  EXPECT_EQ(error({"-G", "stdio", "-g", "stdio", "kernel"}),
            "--gdb and --guest-gdb cannot both use stdio");
  EXPECT_EQ(error({"-G", "wstdio", "--debugcon", "stdio", "kernel"}),
            "--gdb and --debugcon cannot both use stdio");
}

TEST(CommandLine, ErrorsNameTheOption) {
  struct Row {
    std::vector<const char*> words;
    const char* part;
  };
  const Row rows[] = {
      {{}, "no KERNEL given"},
      {{"a", "b"}, "b"},
      {{"--bios", "b", "-a", "x"}, "are for a KERNEL, and --bios is given none"},
      {{"--bios", "b", "-i", "x"}, "are for a KERNEL, and --bios is given none"},
      {{"--bios", "b", "k", "-i", "x", "-i", "y"},
       "--initrd: firmware (--bios) hands a KERNEL one"},
      {{"--bios", ""}, "--bios: '' has no file name"},
      {{"--bios", "", "kernel"}, "--bios: '' has no file name"},
      {{"-c", "0", "k"}, "--cpus: '0' is not a number from 1 to 64"},
      {{"-c", "65", "k"}, "--cpus: '65'"},
      {{"-c", "1x", "k"}, "--cpus: '1x'"},
      {{"-c", "99999999999999999999", "k"}, "--cpus"},
      {{"-m", "lots", "k"}, "--memory: 'lots' is not a size, such as 512M or 2G"},
      {{"-m", "0", "k"}, "--memory: '0' is not at least 1M in whole 4 KiB pages"},
      {{"-m", "1025K", "k"}, "--memory: '1025K'"},
      {{"--history", "1023K", "k"}, "--history: '1023K' is not at least 1M, nor off"},
      {{"--history", "no", "k"}, "--history: 'no' is not a size, such as 512M or 2G, nor off"},
      {{"-e", "magic", "k"}, "--engine: 'magic' is not one of auto, soft, kvm"},
      {{"--pace", "maybe", "k"}, "--pace: 'maybe' is not one of on, off"},
      {{"--translate", "1", "k"}, "--translate: '1' is not one of on, off"},
      {{"--cpu", "v4", "k"}, "--cpu: 'v4' is not one of v2, v3, host"},
      {{"--cpu", "host", "k"}, "--cpu host needs --engine kvm"},
      {{"--cpu", "v3", "-e", "kvm", "k"}, "with --engine kvm the guest has the host's"},
      {{"--seed", "x", "k"}, "--seed: 'x' is not a number of 64 bits"},
      {{"--seed=-1", "k"}, "--seed: '-1' is not"},
      {{"--seed", "1", "-e", "kvm", "k"}, "--seed needs the software CPU"},
      {{"--seed", "1", "--replay", "a", "k"}, "--seed is of a new run"},
      {{"--seed", "1", "--restore", "a"}, "there can be no --seed"},
      {{"--date", "now", "k"},
       "--date: 'now' is not host, nor seconds since 1970 from 0 to 253402"},
      {{"--date", "2024-01-01", "k"}, "as 'date -ud 2024-01-01 +%s' prints them"},
      {{"--date", "", "k"}, "--date: ''"},
      {{"--date=-1", "k"}, "--date: '-1'"},
      {{"--date", "1e9", "k"}, "--date: '1e9'"},
      {{"--date", "253402300800", "k"}, "--date: '253402300800'"},
      {{"--on-kill", "die", "k"}, "--on-kill"},
      {{"--log", "loud", "k"}, "--log"},
      {{"-i", "", "k"}, "--initrd: '' has no file name"},
      {{"-s", "file:", "k"}, "--serial: 'file:' has no path"},
      {{"-s", "nowhere", "k"}, "--serial: 'nowhere'"},
      {{"--debugcon", "1234", "k"}, "--debugcon: '1234' is not one of none, stdio, file:PATH"},
      {{"-d", ",ro", "k"}, "--disk: ',ro' has no file name"},
      {{"--frobnicate", "k"}, "--frobnicate"},
      {{"-G"}, "--gdb"},
  };
  for (const Row& row : rows) {
    const std::string text = error(row.words);
    EXPECT_NE(text.find(row.part), std::string::npos) << text;
    EXPECT_EQ(text.find('\n'), std::string::npos) << text;
  }
}

TEST(CommandLine, OptionsOfOtherProgramsAreToldWhatToType) {
  struct Row {
    std::vector<const char*> words;
    std::vector<const char*> parts;
  };
  const Row rows[] = {
      {{"-kernel", "bzImage", "-initrd", "i", "-append", "x", "-s", "-S", "-nographic"},
       {"-kernel is KERNEL alone", "-initrd is --initrd FILE", "-append is --append TEXT",
        "-s is -G 1234", "-S is -G w1234", "-nographic is not needed"}},
      {{"-smp", "2", "k"}, {"-smp is --cpus N"}},
      {{"-smp", "2"}, {"-smp is --cpus N"}},
      {{"-gdb", "tcp::1234", "k"}, {"-gdb is --gdb ENDPOINT (-G), such as -G 1234"}},
      {{"-hda", "d.qcow2"}, {"-hda is --disk FILE (-d), a raw image, or nbd+unix:SOCKET"}},
      {{"-drive", "if=pflash,format=raw,file=OVMF_CODE.fd", "-drive", "file=d,format=raw"},
       {"-drive if=pflash is --bios FILE for code, --firmware-vars FILE for variables",
        "; -drive is --disk FILE (-d)"}},
      {{"-cdrom", "debian.iso", "-boot", "d"}, {"-cdrom is --disk FILE,ro", "-boot is not needed"}},
      {{"-snapshot", "k"}, {"-snapshot is --disk FILE,snapshot"}},
      {{"-netdev", "user,id=n,hostfwd=tcp::8022-:22", "-device", "virtio-net-pci,netdev=n", "k"},
       {"-netdev is --net user (-n), with ,forward=", "-device virtio-net is --net user (-n)"}},
      {{"-net", "none", "-nic", "user", "k"},
       {"-net none is not needed", "-nic is --net user (-n)"}},
      {{"-virtfs", "local,path=.,mount_tag=m,security_model=none"}, {"-virtfs is --share DIR"}},
      {{"-fsdev", "local,id=f,path=."}, {"-fsdev is --share DIR"}},
      {{"-device", "isa-debug-exit,iobase=0xf4", "-device", "pc-testdev", "-device", "e1000"},
       {"-device isa-debug-exit is --debug-exit", "-device pc-testdev is --test-device",
        "; -device is --disk (-d), --net (-n)"}},
      {{"-object", "rng-random,id=r,filename=/dev/urandom", "-chardev", "stdio,id=c"},
       {"-object rng- is --rng host", "-chardev is the WHERE of --serial (-s)"}},
      {{"-rtc", "base=utc"}, {"-rtc is --date host or --date EPOCH"}},
      {{"-pflash", "OVMF_VARS.fd"}, {"-pflash is --bios FILE"}},
      {{"-monitor", "none", "-display", "none", "-vga", "none", "-vnc", ":0"},
       {"-monitor is not needed", "-display is not needed", "-vga none is not needed",
        "-vnc is not there: --vga text"}},
      {{"-S", "k"}, {"-S is -G w1234"}},
      {{"-s", "k"}, {"no KERNEL given", "-s is -G 1234"}},
      {{"-s", "a", "k"}, {"--serial: 'a'", "-s is -G 1234"}},
      {{"k", "-s"}, {"-s is -G 1234"}},
      {{"-G", ":1234", "k"}, {"--gdb: ':1234'", "type 1234"}},
      {{"-G", "wtcp::1234", "k"}, {"--gdb: 'tcp::1234'", "type 1234"}},
      {{"--initd", "i", "k"}, {"there is no option --initd; --initrd is near to it"}},
      {{"--cpu=2", "k"}, {"--cpu: '2' is not one of v2, v3"}},
      {{"--frobnicate", "k"}, {"there is no option --frobnicate;"}},
  };
  for (const Row& row : rows) {
    const std::string text = error(row.words);
    for (const char* part : row.parts)
      EXPECT_NE(text.find(part), std::string::npos) << part << " is not in: " << text;
    EXPECT_EQ(text.find('\n'), std::string::npos) << text;
  }
  // What is a text for the guest, or an option of ours, stays that.
  EXPECT_EQ(options({"-a", "-smp", "k"}).append, "-smp");
  EXPECT_EQ(options({"--append", "-S", "k"}).append, "-S");
  EXPECT_TRUE(std::holds_alternative<NoStream>(options({"-s", "none", "k"}).serial));
  EXPECT_EQ(error({"-s", "none", "-c", "x", "k"}), "--cpus: 'x' is not a number from 1 to 64");
}

TEST(CommandLine, ProbeNeedsNoKernel) { EXPECT_TRUE(options({"--probe"}).probe); }

TEST(CommandLine, TwoJournalsAreComparedWithoutAnythingElse) {
  const Options both = options({"--replay", "a", "--against", "b", "k"});
  EXPECT_EQ(both.replay, "a");
  EXPECT_EQ(both.against, "b");
  const struct {
    std::vector<const char*> more;
    const char* refusal;
  } rows[] = {{{}, "--replay"},
              {{"--replay", "a", "-G", "1234"}, "without --gdb"},
              {{"--replay", "a", "--history", "1M"}, "without --history"},
              {{"--replay", "a", "--date", "0"}, "without --date"},
              {{"--replay", "a", "-e", "kvm"}, "software CPU"}};
  for (const auto& row : rows) {
    std::vector<const char*> words = {"--against", "b", "k"};
    words.insert(words.end(), row.more.begin(), row.more.end());
    EXPECT_NE(error(words).find(row.refusal), std::string::npos) << error(words);
  }
}

TEST(CommandLine, HelpAndVersionPrintAndEnd) {
  const std::string help = parse({"--help"}).value().print.value();
  for (const char* word :
       {"KERNEL",          "--cpus",      "--memory",  "--engine",     "--initrd",    "--append",
        "--gdb",           "--guest-gdb", "--serial",  "--debug-exit", "--debugcon",  "--disk",
        "--record",        "--replay",    "--pace",    "--against",    "--translate", "--perf-map",
        "--date",          "--probe",     "--on-kill", "--bios",       "--version",   "--log",
        "--firmware-vars", "--cpu ",      "Examples:", "Exit status:"}) {
    EXPECT_NE(help.find(word), std::string::npos) << word;
  }
  EXPECT_EQ(parse({"--version"}).value().print.value().substr(0, 9), "ringside ");
}

TEST(Size, Table) {
  struct Row {
    const char* text;
    std::uint64_t size;
  };
  for (const Row& row : {Row{"256M", 256u << 20}, Row{"1g", 1u << 30}, Row{"4K", 4096},
                         Row{"512", 512u << 20}, Row{"2T", 2ull << 40}, Row{"0", 0}}) {
    EXPECT_EQ(parse_size(row.text).value(), row.size) << row.text;
  }
  for (const char* text : {"", "M", "-1M", "+1M", "1.5G", "1MB", "1 M", " 1M", "0x10", "1Q",
                           "18446744073709551616", "99999999999999999T"}) {
    EXPECT_FALSE(parse_size(text)) << text;
  }
}

TEST(RunCommandLine, NeedsNoKernelAndHasItsOwnUsualThings) {
  const Options o = options({"run"});
  ASSERT_TRUE(o.run);
  EXPECT_EQ(o.kernel, "");
  EXPECT_EQ(o.memory, 512u << 20);
  EXPECT_EQ(o.run->initramfs, Initramfs::Busybox);
  ASSERT_EQ(o.shares.size(), 1u);
  EXPECT_EQ(o.shares[0], (companions::SharedFolder{".", "host", share::Access::ReadOnly}));
  EXPECT_FALSE(options({"kernel"}).run);
  EXPECT_EQ(options({"./run"}).kernel, "./run") << "a file of that name";
  EXPECT_EQ(options({"-c", "2", "run"}).kernel, "run") << "the command is the first word";
}

TEST(RunCommandLine, TakesEveryOptionInPlaceOfThese) {
  const Options o = options({"run", "-G", "1234", "-m", "1G", "--share", "/data", "vmlinuz"});
  EXPECT_TRUE(o.run && o.gdb);
  EXPECT_EQ(o.kernel, "vmlinuz");
  EXPECT_EQ(o.memory, 1u << 30);
  ASSERT_EQ(o.shares.size(), 1u);
  EXPECT_EQ(o.shares[0].path, "/data");
  EXPECT_EQ(options({"run", "--share", "none"}).shares.size(), 0u);
  EXPECT_EQ(options({"run", "--save", "file"}).shares.size(), 0u) << "it could not be saved";
  const Options directory = options({"run", "--initramfs", "root"});
  EXPECT_EQ(directory.run->initramfs, Initramfs::Directory);
  EXPECT_EQ(directory.run->directory, "root");
  EXPECT_EQ(options({"run", "--initramfs", "none"}).run->initramfs, Initramfs::None);
  const Options own = options({"run", "-i", "initrd.img"});
  EXPECT_EQ(own.run->initramfs, Initramfs::None);
  EXPECT_EQ(own.modules.size(), 1u);
}

TEST(RunCommandLine, RefusesWhatThereIsNoUseFor) {
  EXPECT_EQ(error({"run", "--bios", "b"}), "run starts a Linux kernel, so there can be no --bios");
  EXPECT_EQ(error({"run", "--restore", "b"}),
            "run starts a Linux kernel, so there can be no --restore");
  EXPECT_EQ(error({"run", "-i", "a", "--initramfs", "b"}),
            "--initramfs and --initrd are the same thing: one of them");
  EXPECT_EQ(error({"run", "--initramfs", ""}),
            "--initramfs: '' is not busybox, a directory or none");
  EXPECT_EQ(error({"--initramfs", "none", "kernel"}),
            "--initramfs is for 'ringside run'; an initramfs of your own is -i FILE");
  EXPECT_THAT(error({"run", "-kernel", "vmlinuz"}), StartsWith("options as QEMU has them"));
}

TEST(RunCommandLine, HelpIsItsOwn) {
  const Result<CommandLine> line = parse({"run", "--help"});
  ASSERT_TRUE(line && line->print);
  EXPECT_THAT(*line->print,
              AllOf(HasSubstr("ringside run -G 1234"), HasSubstr("Usage: ringside run"),
                    HasSubstr("--initramfs"), HasSubstr("Ctrl-A h"), Not(HasSubstr("--bios")),
                    Not(HasSubstr("--firmware-vars")), Not(HasSubstr("--restore"))));
  EXPECT_THAT(*parse({"--help"})->print, HasSubstr("ringside run -G 1234"));
}

}  // namespace
}  // namespace ringside::cli
