// The code of docs/embedding.md, compiled and debugged. tests/docs holds the page to these lines
// and to those of the examples and of loops_test.cc.
#include <gtest/gtest.h>

#include <cstring>

#include "library/serving.h"

namespace ringside::testing {
namespace {

namespace hypervisor = ringside::hypervisor;
namespace x86 = ringside::x86;

class Cpu final : public hypervisor::Vcpu {
 public:
  bool in_guest() const override { return running; }
  Result<x86::CpuState> state() override { return registers; }
  Result<void> set_state(const x86::CpuState& state) override {
    registers = state;
    return {};
  }

  x86::CpuState registers;
  bool running = false;
};

class Ram final : public hypervisor::Memory {
 public:
  Result<void> read_ram(Gpa address, std::span<std::byte> out) override {
    if (!has(address, out.size())) return fail(ErrorCode::BadAddress, "no RAM there");
    std::memcpy(out.data(), &bytes[address.value], out.size());
    return {};
  }
  Result<void> write_ram(Gpa address, std::span<const std::byte> data) override {
    if (!has(address, data.size())) return fail(ErrorCode::BadAddress, "no RAM there");
    std::memcpy(&bytes[address.value], data.data(), data.size());
    return {};
  }

  std::byte bytes[65536] = {};

 private:
  static bool has(Gpa address, std::size_t size) {
    return address.value < sizeof bytes && size <= sizeof bytes - address.value;
  }
};

class Machine final : public hypervisor::Vm {
 public:
  unsigned vcpu_count() const override { return 1; }
  hypervisor::Vcpu& vcpu(VcpuId) override { return cpu; }
  hypervisor::Memory& memory() override { return ram; }
  void suspend(VcpuId id) override {
    if (!cpu.running) return;
    cpu.running = false;
    event = hypervisor::VcpuEvent{id, hypervisor::exit::Parked{}};
  }
  void resume(VcpuId) override { cpu.running = true; }
  std::optional<hypervisor::VcpuEvent> take_event() override {
    return std::exchange(event, std::nullopt);
  }

  // A while in the guest, which does nothing but count.
  void run() {
    if (cpu.running) ++cpu.registers.reg(x86::Gpr::Rax);
  }

  Cpu cpu;
  Ram ram;
  std::optional<hypervisor::VcpuEvent> event;
};

TEST(Page, ElevenFunctionsAreDebugged) {
  Machine machine;
  auto opened = DebugEndpoint::open(machine, "0");
  ASSERT_TRUE(opened) << opened.error().text();
  DebugEndpoint& endpoint = **opened;
  const std::string where = endpoint.where();
  std::atomic<bool> over{false};
  std::thread vmm([&] {
    endpoint.start();
    while (!over) {
      machine.run();
      if (!endpoint.serve(std::nullopt)) return;
    }
  });
  DebugClient client(static_cast<std::uint16_t>(std::stoul(where.substr(where.rfind(':') + 1))));
  try {
    greet(client);
    const std::uint64_t before = client.registers()[kRax];
    client.write(0x1234, "bytes");
    EXPECT_EQ(client.read(0x1234, 5), "bytes");
    EXPECT_EQ(client.request("P0=" + hex(little_endian(before + 1000, 8))), "OK");
    EXPECT_EQ(client.registers()[kRax], before + 1000);
    client.send("vCont;c");
    EXPECT_EQ(client.stop().signal, 2u);
    EXPECT_GT(client.registers()[kRax], before + 1000);
    EXPECT_NE(client.request("Z0,1000,1"), "OK") << "nothing here can meet an int3";
    detach(client);
  } catch (const std::exception& error) {
    ADD_FAILURE() << error.what();
  }
  over = true;
  endpoint.wake();
  vmm.join();
}

struct StatusLine {
  void show(const char*) {}
};

TEST(Page, OptionsHooksAndConnections) {
  Machine vm;
  StatusLine status_line;
  debug::ServerOptions options;
  options.wait = true;  // no instruction before a debugger says so
  options.on_kill = debug::OnKill::Stop;
  options.hooks.guest_stopped = [&] { status_line.show("stopped by a debugger"); };
  options.hooks.guest_resumed = [&] { status_line.show("running"); };
  options.hooks.client_came = [&] { status_line.show("a debugger has come"); };
  options.hooks.client_went = [&] { status_line.show("the debugger has gone"); };
  options.commands.push_back({"ram", "", "how much RAM there is",
                              [&](std::string_view) { return std::string("64 KiB\n"); }});
  options.restart = [&]() -> Result<void> {
    vm.cpu.registers = x86::reset_state();
    return {};
  };

  auto [accepted, debuggers_end] = connected_sockets();
  // No place to listen: connections come from elsewhere.
  auto endpoint = DebugEndpoint::open(vm, "", std::move(options));
  if (!endpoint) FAIL() << endpoint.error().text();
  (*endpoint)->start();
  EXPECT_FALSE(vm.cpu.running);
  const Result<void> adopted = (*endpoint)->adopt(accepted.release());
  if (!adopted) std::fprintf(stderr, "%s\n", adopted.error().text().c_str());
  EXPECT_TRUE((*endpoint)->connected());

  Serving serving(**endpoint);
  DebugClient client(std::move(debuggers_end));
  greet(client);
  EXPECT_EQ(unhex(client.request("qRcmd," + hex("ram"))), "64 KiB\n");
}

}  // namespace
}  // namespace ringside::testing
