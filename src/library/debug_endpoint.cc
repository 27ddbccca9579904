#include "ringside/debug_endpoint.h"

#include <utility>

#include "debug/packets/greeter.h"
#include "debug/server/server.h"
#include "hypervisor/callers_thread.h"
#include "library/entrance.h"
#include "library/observer_seats.h"
#include "transport/poller.h"
#include "transport/single_client.h"

namespace ringside {
namespace {

using Clock = std::chrono::steady_clock;

// Only to wake up: a turn takes the events.
void nothing(EventLoop::Ready) {}

void call(const std::function<void()>& hook) {
  if (hook) hook();
}

}  // namespace

class DebugEndpoint::Parts final : public transport::ClientHandler {
 public:
  explicit Parts(EventLoop& foreign) : loop_(foreign) {}
  explicit Parts(std::unique_ptr<transport::Poller> poller)
      : own_(std::move(poller)), loop_(*own_) {}
  ~Parts() override {
    seats_.reset();
    entrance_.reset();
    client.reset();
    if (vm != nullptr && vm->event_fd() >= 0) loop_.remove(vm->event_fd());
  }

  Result<void> open(const std::optional<transport::Endpoint>& place, Admission admission) {
    client =
        place
            ? TRY(transport::SingleClient::open(loop_, *place, "gdb", *this, std::move(admission)))
            : std::make_unique<transport::SingleClient>(loop_, "gdb", *this, std::move(admission));
    // Where listen() may come later, this process may not open anything any more.
    client->doorman().expect_tcp();
    entrance_.emplace(loop_, *client, [this] { return abilities(); });
    return {};
  }
  void set_vm(hypervisor::Vm& machine, debug::ServerOptions options) {
    vm = &machine;
    hooks_ = options.hooks;
    travels_ = options.time_travel != nullptr;
    server.emplace(machine, std::move(options));
    seats_.emplace(loop_, *server, [this] { call(hooks_.client_acts); });
    client->set_further([this](transport::Connection connection) {
      return started_ && seats_->take(std::move(connection));
    });
    if (machine.event_fd() >= 0) loop_.add(machine.event_fd(), Interest::Read, nothing);
  }
  void start() {
    server->start();
    started_ = true;
    if (greeter_) {
      call(hooks_.client_came);
      server->take_over(std::move(*greeter_).introduction());
      greeter_.reset();
    }
  }

  void expect_time_travel() { travels_ = true; }
  void expect_guest_knowledge() { knows_guest_ = true; }

  // ---- ClientHandler: the greeter's until the guest is started
  void on_connected() override {
    if (!started_) {
      greeter_.emplace(abilities());
      return;
    }
    call(hooks_.client_acts);
    call(hooks_.client_came);
    if (promoted_ != nullptr) {
      server->take_over(*std::exchange(promoted_, nullptr));
    } else if (said_) {
      server->take_over(*std::exchange(said_, std::nullopt), debug::Server::Begins::Unattached);
    } else {
      server->on_connected();
    }
  }
  void on_bytes(std::span<const std::byte> bytes) override {
    if (!started_) {
      greeter_->on_bytes(bytes);
      return;
    }
    call(hooks_.client_acts);
    last_heard_ = Clock::now();
    server->on_bytes(bytes);
  }
  void on_disconnected() override {
    greeter_.reset();
    if (!started_) return;
    call(hooks_.client_acts);
    server->on_disconnected();
    call(hooks_.client_went);
  }
  std::string_view output() const override {
    if (started_) return server->output();
    return greeter_ ? greeter_->output() : std::string_view();
  }
  void wrote(std::size_t count) override {
    if (started_) {
      server->wrote(count);
    } else if (greeter_) {
      greeter_->wrote(count);
    }
  }
  std::size_t room() const override {
    const bool wants = started_ ? server->wants_input() : !greeter_ || greeter_->wants_input();
    return wants ? ~std::size_t{0} : 0;
  }
  bool wants_close() const override { return started_ && server->wants_close(); }

  void settle() {
    if (started_) server->drain_events();
    client->update();
    entrance_->update();
    if (!started_) return;
    seats_->update();
    if (!server->connected()) promote();
    while (auto admitted = entrance_->take_admitted())
      admit(*std::move(admitted));
  }
  bool has_work() const { return started_ && server->has_work(); }
  bool must_not_wait() const {
    return has_work() || (started_ && hypervisor::needs_callers_thread(*vm));
  }
  std::optional<std::chrono::nanoseconds> time_to_look() const {
    return started_ ? server->time_to_look() : std::nullopt;
  }
  bool is_talking() const { return Clock::now() - last_heard_ < kTalking; }
  transport::Poller* poller() const { return own_.get(); }
  const std::string& token() const { return entrance_->token(); }

  hypervisor::Vm* vm = nullptr;
  std::optional<debug::Server> server;
  std::unique_ptr<transport::SingleClient> client;

 private:
  static constexpr std::chrono::microseconds kTalking{50};

  // Of the machine, or what is expected of it.
  debug::Abilities abilities() const {
    if (server) return server->abilities();
    return {.hardware_breakpoints = true,
            .time_travel = travels_,
            .libraries = knows_guest_,
            .os_data = knows_guest_,
            .vmcoreinfo = knows_guest_};
  }
  void promote() {
    auto promoted = seats_->take_promoted();
    if (!promoted) return;
    promoted_ = promoted->observer;
    (void)client->adopt(std::move(promoted->connection));
  }
  void admit(Strangers::Admitted admitted) {
    if (server->connected()) {
      (void)seats_->take(std::move(admitted.connection), std::move(admitted.said));
      return;
    }
    said_.emplace(std::move(admitted.said));
    (void)client->adopt(std::move(admitted.connection));
  }

  std::unique_ptr<transport::Poller> own_;
  EventLoop& loop_;
  debug::Hooks hooks_;
  bool started_ = false;
  bool travels_ = false;
  bool knows_guest_ = false;
  std::optional<Entrance> entrance_;
  std::optional<debug::Greeter> greeter_;  // of a client that came before the start
  Clock::time_point last_heard_{};
  std::optional<ObserverSeats> seats_;
  debug::Observer* promoted_ = nullptr;      // who is the client in a moment, or
  std::optional<debug::Introduction> said_;  // by whom
};

Result<std::unique_ptr<DebugEndpoint>> DebugEndpoint::open(std::string_view endpoint,
                                                           EventLoop* loop, Admission admission) {
  std::optional<transport::Endpoint> place;
  if (!endpoint.empty()) place = TRY(transport::parse_endpoint(endpoint));
  std::unique_ptr<Parts> parts;
  if (loop != nullptr) {
    parts = std::make_unique<Parts>(*loop);
  } else {
    parts = std::make_unique<Parts>(
        std::make_unique<transport::Poller>(TRY(transport::Poller::create())));
  }
  TRY(parts->open(place, std::move(admission)));
  return std::unique_ptr<DebugEndpoint>(new DebugEndpoint(std::move(parts)));
}

Result<std::unique_ptr<DebugEndpoint>> DebugEndpoint::open(hypervisor::Vm& vm,
                                                           std::string_view endpoint,
                                                           debug::ServerOptions options,
                                                           EventLoop* loop, Admission admission) {
  std::unique_ptr<DebugEndpoint> made = TRY(open(endpoint, loop, std::move(admission)));
  TRY(made->set_vm(vm, std::move(options)));
  return made;
}

DebugEndpoint::DebugEndpoint(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
DebugEndpoint::~DebugEndpoint() = default;

Result<void> DebugEndpoint::listen(std::string_view endpoint) {
  return parts_->client->listen_at(TRY(transport::parse_endpoint(endpoint)));
}

Result<void> DebugEndpoint::set_vm(hypervisor::Vm& vm, debug::ServerOptions options) {
  if (parts_->server) return fail(ErrorCode::BadRequest, "the endpoint has a machine already");
  if (vm.vcpu_count() == 0 || vm.vcpu_count() > kMaxVcpus) {
    return fail(ErrorCode::BadRequest, "a machine has 1 to " + std::to_string(kMaxVcpus) +
                                           " vCPUs, not " + std::to_string(vm.vcpu_count()));
  }
  parts_->set_vm(vm, std::move(options));
  return {};
}
void DebugEndpoint::expect_time_travel() { parts_->expect_time_travel(); }
void DebugEndpoint::expect_guest_knowledge() { parts_->expect_guest_knowledge(); }
void DebugEndpoint::start() {
  if (parts_->server) parts_->start();
}

Result<> DebugEndpoint::serve(std::optional<std::chrono::nanoseconds> timeout) {
  transport::Poller* const poller = parts_->poller();
  if (poller == nullptr)
    return fail(ErrorCode::BadRequest, "an endpoint in somebody's loop is not served by serve()");
  const bool was_over = parts_->vm != nullptr && parts_->vm->ended().has_value();
  parts_->settle();
  // Only now: writing what a client has waited for may have led to its next request.
  const bool has_ended = parts_->vm != nullptr && parts_->vm->ended() && !was_over;
  if (has_ended || parts_->must_not_wait()) timeout = std::chrono::nanoseconds(0);
  if (const auto look = parts_->time_to_look(); look && (!timeout || *look < *timeout))
    timeout = look;
  TRY(poller->wait(timeout));
  parts_->settle();
  return {};
}

void DebugEndpoint::wake() const {
  if (parts_->poller() != nullptr) parts_->poller()->wake();
}

void DebugEndpoint::settle() { parts_->settle(); }

std::optional<std::chrono::nanoseconds> DebugEndpoint::time_to_wait() const {
  if (parts_->must_not_wait()) return std::chrono::nanoseconds(0);
  return parts_->time_to_look();
}

std::vector<DebugEndpoint::Descriptor> DebugEndpoint::descriptors() const {
  std::vector<Descriptor> result;
  if (parts_->poller() == nullptr) return result;
  for (const auto& [fd, interest] : parts_->poller()->watched())
    result.push_back({fd, interest});
  return result;
}

Result<void> DebugEndpoint::adopt(int socket) {
  Fd owned(socket);
  const int why_not = transport::why_no_connection(socket);
  if (why_not != 0) return fail(Error::from_errno("a client cannot be adopted", why_not));
  return parts_->client->adopt(transport::Connection::over_socket(std::move(owned)));
}

void DebugEndpoint::hide_breakpoints(Gpa where, std::span<std::byte> copy) const {
  if (parts_->server) parts_->server->breakpoints().hide(where, copy);
}
bool DebugEndpoint::has_breakpoint_bytes() const {
  return parts_->server && parts_->server->breakpoints().has_bytes();
}

void DebugEndpoint::while_out(std::function<void()> request) {
  if (parts_->server) parts_->server->while_out(std::move(request));
}
std::string DebugEndpoint::monitor(std::string_view line, VcpuId current,
                                   std::string_view refusal) const {
  return parts_->server ? parts_->server->monitor(line, current, refusal) : std::string();
}
bool DebugEndpoint::holds_guest() const { return parts_->server && parts_->server->holds_guest(); }

void DebugEndpoint::machine_was_reset() {
  if (parts_->server) parts_->server->machine_was_reset();
}
void DebugEndpoint::announce_end(int status) {
  if (parts_->server) parts_->server->announce_end(status);
}

bool DebugEndpoint::end_waits() const { return parts_->server && parts_->server->end_waits(); }

std::string DebugEndpoint::where() const {
  const transport::Endpoint* place = parts_->client->endpoint();
  return place == nullptr ? std::string() : to_string(*place);
}
bool DebugEndpoint::reachable_from_outside() const {
  return parts_->client->reachable_from_outside();
}
std::string DebugEndpoint::token() const {
  return reachable_from_outside() ? parts_->token() : std::string();
}
bool DebugEndpoint::connected() const { return parts_->server && parts_->server->connected(); }
bool DebugEndpoint::is_talking() const { return parts_->is_talking(); }
bool DebugEndpoint::has_work() const { return parts_->has_work(); }
std::optional<std::chrono::nanoseconds> DebugEndpoint::time_to_look() const {
  return parts_->time_to_look();
}
bool DebugEndpoint::wants_vm_end() const {
  return parts_->server && parts_->server->wants_vm_end();
}

}  // namespace ringside
