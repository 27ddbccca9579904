#include "ringside/debug_endpoint.h"

#include "debug/server/server.h"
#include "hypervisor/callers_thread.h"
#include "transport/poller.h"
#include "transport/single_client.h"

namespace ringside {
namespace {

class ServerClient final : public transport::ClientHandler {
 public:
  explicit ServerClient(debug::Server& server) : server_(server) {}
  void on_connected() override { server_.on_connected(); }
  void on_bytes(std::span<const std::byte> bytes) override { server_.on_bytes(bytes); }
  void on_disconnected() override { server_.on_disconnected(); }
  std::string_view output() const override { return server_.output(); }
  void wrote(std::size_t count) override { server_.wrote(count); }
  std::size_t room() const override { return server_.wants_input() ? ~std::size_t{0} : 0; }
  bool wants_close() const override { return server_.wants_close(); }

 private:
  debug::Server& server_;
};

}  // namespace

class DebugEndpoint::Parts {
 public:
  Parts(hypervisor::Vm& machine, debug::ServerOptions options, transport::Poller made)
      : vm(machine), poller(std::move(made)), server(machine, std::move(options)), handler(server) {
    // Only to wake up: serve() takes the events.
    if (vm.event_fd() >= 0) poller.add(vm.event_fd(), transport::Interest::Read, [](auto) {});
  }

  // Whether there is something to do that nothing from outside will announce.
  bool must_not_wait() const { return server.has_work() || hypervisor::needs_callers_thread(vm); }

  hypervisor::Vm& vm;
  transport::Poller poller;
  debug::Server server;
  ServerClient handler;
  std::unique_ptr<transport::SingleClient> client;
};

Result<std::unique_ptr<DebugEndpoint>> DebugEndpoint::open(hypervisor::Vm& vm,
                                                           std::string_view endpoint,
                                                           debug::ServerOptions options) {
  const transport::Endpoint place = TRY(transport::parse_endpoint(endpoint));
  auto parts = std::make_unique<Parts>(vm, std::move(options), TRY(transport::Poller::create()));
  parts->client = TRY(transport::SingleClient::open(parts->poller, place, "gdb", parts->handler));
  return std::unique_ptr<DebugEndpoint>(new DebugEndpoint(std::move(parts)));
}

DebugEndpoint::DebugEndpoint(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
DebugEndpoint::~DebugEndpoint() = default;

void DebugEndpoint::start() { parts_->server.start(); }

Result<> DebugEndpoint::serve(std::optional<std::chrono::nanoseconds> timeout) {
  const bool was_over = parts_->vm.ended().has_value();
  parts_->server.drain_events();
  parts_->client->update();
  // Only now: writing what a client has waited for may have led to its next request.
  const bool has_ended = parts_->vm.ended() && !was_over;
  if (has_ended || parts_->must_not_wait()) timeout = std::chrono::nanoseconds(0);
  TRY(parts_->poller.wait(timeout));
  parts_->server.drain_events();
  parts_->client->update();
  return {};
}

void DebugEndpoint::wake() const { parts_->poller.wake(); }
std::string DebugEndpoint::where() const { return to_string(parts_->client->endpoint()); }
bool DebugEndpoint::reachable_from_outside() const {
  return parts_->client->reachable_from_outside();
}
bool DebugEndpoint::connected() const { return parts_->server.connected(); }
bool DebugEndpoint::wants_vm_end() const { return parts_->server.wants_vm_end(); }

}  // namespace ringside
