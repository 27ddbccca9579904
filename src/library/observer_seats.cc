#include "library/observer_seats.h"

#include <utility>

#include "transport/single_client.h"

namespace ringside {

class ObserverSeats::Seat final : public transport::ClientHandler {
 public:
  Seat(EventLoop& loop, debug::Server& server, const std::function<void()>& acts)
      : server_(server), acts_(acts), client_(loop, "gdb observer", *this) {}

  void begin(transport::Connection connection, std::optional<debug::Introduction> said) {
    if (said) said_.emplace(*std::move(said));
    (void)client_.adopt(std::move(connection));
  }
  void update() { client_.update(); }
  bool gone() const { return observer_ == nullptr; }
  bool wants_control() const { return observer_ != nullptr && observer_->wants_control(); }
  Promoted promote() { return {std::exchange(observer_, nullptr), *client_.release()}; }

  // ---- ClientHandler
  void on_connected() override {
    acts_();
    observer_ = said_ ? &server_.observe(*std::exchange(said_, std::nullopt)) : &server_.observe();
  }
  void on_bytes(std::span<const std::byte> bytes) override {
    acts_();
    observer_->on_bytes(bytes);
    server_.observer_acts();
    server_.drain_events();
  }
  void on_disconnected() override {
    acts_();
    server_.leave(*std::exchange(observer_, nullptr));
    server_.drain_events();
  }
  std::string_view output() const override {
    return observer_ != nullptr ? observer_->output() : std::string_view();
  }
  void wrote(std::size_t count) override { observer_->wrote(count); }
  std::size_t room() const override {
    return observer_ != nullptr && observer_->wants_input() ? ~std::size_t{0} : 0;
  }
  bool wants_close() const override { return observer_ != nullptr && observer_->wants_close(); }

 private:
  debug::Server& server_;
  const std::function<void()>& acts_;
  transport::SingleClient client_;
  std::optional<debug::Introduction> said_;  // until the observer is there
  debug::Observer* observer_ = nullptr;
};

ObserverSeats::ObserverSeats(EventLoop& loop, debug::Server& server, std::function<void()> acts)
    : loop_(loop), server_(server), acts_(std::move(acts)) {}

ObserverSeats::~ObserverSeats() = default;

bool ObserverSeats::take(transport::Connection connection,
                         std::optional<debug::Introduction> said) {
  remove_gone();
  if (seats_.size() >= kMost) return false;
  if (!group_) group_ = transport::DescriptorGroup::create(loop_).value_or(nullptr);
  EventLoop& loop = group_ ? *group_ : loop_;
  seats_.emplace_back(loop, server_, acts_).begin(std::move(connection), std::move(said));
  return true;
}

void ObserverSeats::update() {
  if (server_.observers_rest()) return;
  for (Seat& seat : seats_)
    seat.update();
  remove_gone();
}

void ObserverSeats::remove_gone() {
  seats_.remove_if([](const Seat& seat) { return seat.gone(); });
}

std::optional<ObserverSeats::Promoted> ObserverSeats::take_promoted() {
  for (Seat& seat : seats_) {
    if (seat.wants_control()) return seat.promote();
  }
  return std::nullopt;
}

}  // namespace ringside
