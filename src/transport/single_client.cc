#include "transport/single_client.h"

#include <poll.h>

#include <array>
#include <utility>

#include "base/log.h"

namespace ringside::transport {

namespace {

bool is_web_request(std::string_view first) {
  for (const std::string_view method :
       {"GET /", "POST /", "PUT /", "HEAD /", "OPTIONS ", "DELETE /", "PATCH /", "CONNECT "}) {
    if (first.starts_with(method)) return true;
  }
  return false;
}

bool ready(int fd, short events) {
  pollfd entry{fd, events, 0};
  return ::poll(&entry, 1, 0) > 0;
}

}  // namespace

Result<std::unique_ptr<SingleClient>> SingleClient::open(EventLoop& loop, const Endpoint& endpoint,
                                                         std::string name, ClientHandler& handler,
                                                         Admission admission) {
  Listener listener = TRY(Listener::open(endpoint));
  auto made = std::make_unique<SingleClient>(loop, std::move(name), handler, std::move(admission));
  made->listen(std::move(listener));
  return made;
}

SingleClient::SingleClient(EventLoop& loop, std::string name, ClientHandler& handler,
                           Admission admission)
    : loop_(loop),
      name_(std::move(name)),
      handler_(handler),
      doorman_(name_, std::move(admission)) {}

void SingleClient::listen(Listener listener) {
  listener_.emplace(std::move(listener));
  doorman_.expect_clients();
  if (std::holds_alternative<TcpEndpoint>(listener_->endpoint())) doorman_.expect_tcp();
  loop_.add(*listener_->descriptor(), Interest::Read, [this](auto) { accept(); });
}

Result<void> SingleClient::listen_at(const Endpoint& endpoint) {
  if (listener_)
    return fail(ErrorCode::Busy,
                name_ + ": listening on " + to_string(listener_->endpoint()) + " already");
  listen(TRY(Listener::open(endpoint)));
  return {};
}

Result<void> SingleClient::adopt(Connection connection) {
  if (connection_) settle_first();
  if (!connection_) settle_newcomer();
  if (!connection_) {
    connect(std::move(connection));
  } else if (!take_further(std::move(connection))) {
    return fail(ErrorCode::Busy, name_ + ": there is a client already");
  }
  return {};
}

bool SingleClient::take_further(Connection connection) {
  if (further_ && further_(std::move(connection))) return true;
  log::info("{}: a second client was turned away", name_);
  return false;
}

std::optional<Connection> SingleClient::release() {
  if (!connection_) return std::nullopt;
  unwatch();
  return std::exchange(connection_, std::nullopt);
}

SingleClient::~SingleClient() {
  const std::optional<int> listening = listener_ ? listener_->descriptor() : std::nullopt;
  if (listening) loop_.remove(*listening);
  if (connection_) unwatch();
}

void SingleClient::unwatch() {
  loop_.remove(connection_->input());
  if (connection_->output() != connection_->input()) loop_.remove(connection_->output());
}

void SingleClient::watch_listener(Interest interest) {
  const std::optional<int> listening = listener_ ? listener_->descriptor() : std::nullopt;
  if (further_waits_ && listening) loop_.set_interest(*listening, interest);
}

void SingleClient::accept() {
  const std::optional<int> before = listener_->descriptor();
  const bool is_anybody = listener_->accepts_anybody();
  std::optional<Connection> client = listener_->accept();
  // Standard input has one client for good, and that now has the descriptor.
  if (before && !listener_->descriptor()) loop_.remove(*before);
  if (!client) return;
  if (!is_anybody) return come(*std::move(client));
  const std::optional<Peer> peer = doorman_.admit(client->input());
  if (!peer) return;
  if (receive_) return receive_(*std::move(client), *peer);
  come(*std::move(client));
}

void SingleClient::come(Connection client) {
  // The first may have gone already, or been told farewell, and word of it may be behind the
  // newcomer's in this round.
  if (connection_) write();
  if (connection_ && handler_.wants_close()) disconnect();
  if (connection_) settle_first();
  if (!connection_) settle_newcomer();  // who has waited comes before who comes now
  if (!connection_) {
    connect(std::move(client));
  } else if (!newcomer_ && has_unread_input()) {
    newcomer_ = std::move(client);
  } else {
    (void)take_further(std::move(client));
  }
}

bool SingleClient::has_unread_input() const {
  return handler_.room() > 0 && ready(connection_->input(), POLLIN);
}

// The first client's end stands behind all that it sent, so a newcomer is turned away only when
// that is read and the first is still there.
void SingleClient::settle_newcomer() {
  if (!newcomer_ || (connection_ && has_unread_input())) return;
  Connection newcomer = *std::exchange(newcomer_, std::nullopt);
  if (!connection_) {
    connect(std::move(newcomer));
  } else {
    (void)take_further(std::move(newcomer));
  }
}

// Takes what the client sent last, and lets it go if it has hung up.
void SingleClient::settle_first() {
  const int fd = connection_->input();
  if (!ready(fd, POLLRDHUP)) return;
  // To its end, if the handler takes it; a client that hung up gets no more time than that. At its
  // end update() lets in who has waited: that one is not the first any more.
  constexpr int kReads = 64;
  const std::uint64_t first = served_;
  for (int i = 0; i < kReads && connection_ && served_ == first && handler_.room() > 0; ++i) {
    read();
    update();
  }
  if (connection_ && served_ == first) disconnect();
}

void SingleClient::connect(Connection connection) {
  connection_.emplace(std::move(connection));
  if (handler_.wants_descriptors()) connection_->keep_descriptors();
  watch_listener(Interest::None);
  ++served_;
  is_heard_ = receive_ || !listener_ || !listener_->accepts_anybody();
  // Nothing is written here, nor is it settled what to wait for: what a request leads to in the
  // next slice, a step's stop say, goes with its acknowledgement in one piece. The main loop calls
  // update() after each slice.
  const auto ready = [this](EventLoop::Ready what) {
    if (what.readable) read();
    if (connection_->gone()) disconnect();
  };
  loop_.add(connection_->input(), Interest::Read, ready);
  if (connection_->output() != connection_->input()) {
    loop_.add(connection_->output(), Interest::None, ready);
  }
  log::info("{}: a client has come", name_);
  handler_.on_connected();
  update();
}

void SingleClient::disconnect() {
  unwatch();
  connection_.reset();
  watch_listener(Interest::Read);
  log::info("{}: the client has gone", name_);
  handler_.on_disconnected();
}

void SingleClient::read() {
  std::array<char, 16384> buffer;
  const std::size_t room = std::min(buffer.size(), handler_.room());
  if (!connection_ || room == 0) return;
  if (!is_heard_ && begins_as_web_request()) return;
  const std::size_t count = connection_->read(std::span(buffer).first(room));
  if (auto descriptors = connection_->take_descriptors(); !descriptors.empty())
    handler_.on_descriptors(std::move(descriptors));
  if (count > 0) handler_.on_bytes(std::as_bytes(std::span(buffer).first(count)));
}

// What somebody's browser was made to send is not typed into a guest.
bool SingleClient::begins_as_web_request() {
  std::array<char, 16> buffer;
  const std::string_view first(buffer.data(), connection_->peek(buffer));
  is_heard_ = !first.empty();
  if (!is_web_request(first)) return false;
  doorman_.refusals().tell("a client that speaks HTTP was closed");
  connection_->give_up();
  return true;
}

void SingleClient::write() {
  for (;;) {
    const std::string_view output = handler_.output();
    const std::size_t count = connection_->write(output);
    if (count == 0) return;
    handler_.wrote(count);
  }
}

void SingleClient::update() {
  if (connection_) {
    write();
    if (connection_->gone() || handler_.wants_close()) {
      disconnect();
    } else {
      watch();
    }
  }
  settle_newcomer();
}

void SingleClient::watch() {
  const unsigned read = handler_.room() > 0 ? 1 : 0, write = handler_.output().empty() ? 0 : 2;
  if (connection_->input() == connection_->output()) {
    loop_.set_interest(connection_->input(), static_cast<Interest>(read | write));
  } else {
    loop_.set_interest(connection_->input(), static_cast<Interest>(read));
    loop_.set_interest(connection_->output(), static_cast<Interest>(write));
  }
}

}  // namespace ringside::transport
