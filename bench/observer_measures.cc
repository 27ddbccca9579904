// What debuggers that look cost the one that has the machine, and the guest: eight that ask for
// memory and registers as fast as they are answered. Per second of the program's processor time,
// because the clients that ask need processors too.
#include <algorithm>
#include <atomic>
#include <exception>
#include <list>
#include <thread>

#include "clock.h"
#include "measure.h"
#include "target.h"

namespace ringside::bench {
namespace {

using testing::DebugClient;

// Owned by one measure; its end ends the threads.
class Storm {
 public:
  explicit Storm(const Target& target) {
    for (int i = 0; i < 8; ++i)
      threads_.emplace_back([this, port = target.port] { look(port); });
  }
  Storm(const Storm&) = delete;
  Storm& operator=(const Storm&) = delete;
  ~Storm() {
    over_ = true;
    for (std::thread& thread : threads_)
      thread.join();
  }
  double looks() const { return looks_; }

 private:
  void look(std::uint16_t port) {
    try {
      DebugClient client(port);
      for (; !over_; ++looks_) {
        client.request("m100000,100");
        client.request("g");
      }
    } catch (const std::exception&) {
      // Too few looks say so.
    }
  }

  std::atomic<bool> over_ = false;
  std::atomic<unsigned> looks_ = 0;
  std::list<std::thread> threads_;
};

double steps(Target& target, double seconds) {
  const double from = processor_time(target.process->pid());
  int count = 0;
  for (const auto began = Clock::now(); since(began) < seconds; ++count)
    target.client->request("s");
  return count / (processor_time(target.process->pid()) - from);
}

double speed(Target& target, double seconds) {
  const std::uint64_t before = target.client->read_u64(target["rounds"]);
  const double from = processor_time(target.process->pid());
  target.client->resume();
  let_run(seconds);
  target.client->stop();
  const double used = processor_time(target.process->pid()) - from;
  return static_cast<double>(target.client->read_u64(target["rounds"]) - before) / used;
}

Values run_once(Subject subject, double seconds) {
  if (subject != Subject::Ringside) return {};
  Target target = start(subject, {"mix"});
  double best_steps[2] = {}, best_speed[2] = {}, looks = 0;
  for (int turn = 0; turn < 4; ++turn) {
    for (const bool stormy : {false, true}) {
      std::optional<Storm> storm;
      if (stormy) storm.emplace(target);
      best_steps[stormy] = std::max(best_steps[stormy], steps(target, seconds));
      const double before = stormy ? storm->looks() : 0;
      best_speed[stormy] = std::max(best_speed[stormy], speed(target, seconds));
      if (stormy) looks = std::max(looks, (storm->looks() - before) / seconds);
    }
  }
  const auto cost = [](const double* best) { return std::max(0.0, (1 - best[1] / best[0]) * 100); };
  return {cost(best_steps), cost(best_speed), looks};
}

}  // namespace

std::vector<Measure> observer_measures() {
  return {{"observers",
           "eight debuggers that look without a pause, beside the one that has the machine",
           {{"what they cost its steps", "%", Better::Lower, {0, {}, 5}},
            {"what they cost the guest", "%", Better::Lower, {0, {}, 5}},
            {"looks of all while it runs", "/s", Better::Higher, {}}},
           run_once}};
}

}  // namespace ringside::bench
