#include "debug/trace/tracing.h"

#include <algorithm>
#include <utility>

namespace ringside::debug::trace {
namespace {

std::size_t size_of(const Action& action) { return sizeof action + action.code.size(); }

}  // namespace

// --- What the client defines

void Tracing::clear() {
  stop();
  tracepoints_.clear();
  by_address_.clear();
  variables_.clear();
  stepping_.clear();
  bytes_ = 0;
  buffer_.clear();
  when_full_ = TraceBuffer::WhenFull::Refuse;
  notes_ = {};
  read_only_.clear();
  status_ = {};
}

Result<void> Tracing::may_define() const {
  if (running_) return fail(ErrorCode::Busy, "a trace is running; stop it first");
  return {};
}

Result<void> Tracing::charge(std::size_t bytes) {
  if (bytes > kMostBytes - bytes_)
    return fail(ErrorCode::BadRequest,
                "the tracepoints have at most 4 MiB in all, and this would make it more");
  bytes_ += bytes;
  return {};
}

const Tracepoint* Tracing::find(std::uint64_t number, Gva address) const {
  const auto found =
      std::find_if(tracepoints_.begin(), tracepoints_.end(), [&](const Tracepoint& tracepoint) {
        return tracepoint.number == number && tracepoint.address == address;
      });
  return found != tracepoints_.end() ? &*found : nullptr;
}

Result<Tracepoint*> Tracing::existing(std::uint64_t number, Gva address) {
  const Tracepoint* const found = find(number, address);
  if (found == nullptr) return fail(ErrorCode::NotFound, "there is no such tracepoint");
  return &tracepoints_[static_cast<std::size_t>(found - tracepoints_.data())];
}

Result<void> Tracing::define(Tracepoint tracepoint) {
  TRY(may_define());
  // A frame has 16 bits for it.
  if (tracepoint.number == 0 || tracepoint.number > 0xffff)
    return fail(ErrorCode::BadRequest, "a tracepoint's number is 1 to 65535");
  if (tracepoint.steps > kMostSteps)
    return fail(ErrorCode::BadRequest, "at most 100,000 steps can be recorded after a hit");
  if (find(tracepoint.number, tracepoint.address) != nullptr)
    return fail(ErrorCode::BadRequest, "there is such a tracepoint already");
  if (tracepoints_.size() >= kMostTracepoints)
    return fail(ErrorCode::BadRequest, "there are 1000 tracepoints already, which is the most");
  TRY(charge(tracepoint.condition ? tracepoint.condition->size() : 0));
  tracepoints_.push_back(std::move(tracepoint));
  return {};
}

Result<void> Tracing::add_actions(std::uint64_t number, Gva address, bool while_stepping,
                                  std::vector<Action> actions) {
  TRY(may_define());
  Tracepoint& tracepoint = *TRY(existing(number, address));
  std::size_t bytes = 0;
  for (const Action& action : actions)
    bytes += size_of(action);
  if (tracepoint.actions.size() + tracepoint.step_actions.size() + actions.size() > kMostActions)
    return fail(ErrorCode::BadRequest, "a tracepoint has at most 1000 actions");
  TRY(charge(bytes));
  tracepoint.has_step_actions |= while_stepping;
  std::vector<Action>& list =
      tracepoint.has_step_actions ? tracepoint.step_actions : tracepoint.actions;
  std::move(actions.begin(), actions.end(), std::back_inserter(list));
  return {};
}

Result<void> Tracing::add_source(std::uint64_t number, Gva address, Source source) {
  TRY(may_define());
  Tracepoint& tracepoint = *TRY(existing(number, address));
  TRY(charge(sizeof source + source.type.size() + source.text.size()));
  tracepoint.sources.push_back(std::move(source));
  return {};
}

Result<void> Tracing::define_variable(Variable variable) {
  TRY(may_define());
  if (variable.number > 0xffff)
    return fail(ErrorCode::BadRequest, "a trace state variable's number is 0 to 65535");
  const auto found = variables_.find(variable.number);
  if (found == variables_.end() && variables_.size() >= kMostVariables)
    return fail(ErrorCode::BadRequest,
                "there are 1000 trace state variables already, which is the most");
  TRY(charge(sizeof variable + variable.name.size()));
  variable.value = variable.initial;
  variables_.insert_or_assign(variable.number, std::move(variable));
  return {};
}

Result<void> Tracing::enable(std::uint64_t number, Gva address, bool enabled) {
  TRY(existing(number, address))->enabled = enabled;
  return {};
}

Result<void> Tracing::set_ring(bool drops_oldest) {
  TRY(may_define());
  when_full_ = drops_oldest ? TraceBuffer::WhenFull::DropOldest : TraceBuffer::WhenFull::Refuse;
  return {};
}

Result<void> Tracing::set_size(std::optional<std::uint64_t> bytes) {
  TRY(may_define());
  if (bytes == std::uint64_t{0}) return fail(ErrorCode::BadRequest, "a trace buffer has a size");
  if (bytes && *bytes > kLargestSize)
    return fail(ErrorCode::BadRequest, "a trace buffer has at most 256 MiB");
  const std::size_t size = bytes.value_or(kUsualSize);
  // GDB says it before each trace.
  if (size != buffer_.capacity()) buffer_.set_capacity(size);
  return {};
}

Result<void> Tracing::set_notes(Notes notes) {
  if (notes.user.size() + notes.notes.size() + notes.stop.size() > 4096)
    return fail(ErrorCode::BadRequest, "the notes have at most 4096 bytes in all");
  notes_ = std::move(notes);
  return {};
}

Result<void> Tracing::set_read_only(std::vector<Range> ranges) {
  if (ranges.size() > kMostRanges)
    return fail(ErrorCode::BadRequest, "there are at most 1000 ranges of read-only memory");
  read_only_ = std::move(ranges);
  return {};
}

bool Tracing::is_read_only(Gva address, std::uint64_t length) const {
  return std::any_of(read_only_.begin(), read_only_.end(), [&](const Range& range) {
    return range.start <= address && address < range.end &&
           length <= range.end.value - address.value;
  });
}

// --- The trace

Result<void> Tracing::start() {
  TRY(may_define());
  if (tracepoints_.empty()) return fail(ErrorCode::BadRequest, "there are no tracepoints");
  buffer_.clear();
  by_address_.clear();
  stepping_.clear();
  for (Tracepoint& tracepoint : tracepoints_) {
    tracepoint.hits = tracepoint.usage = 0;
    by_address_.emplace(tracepoint.address, &tracepoint);
  }
  for (auto& [number, variable] : variables_)
    variable.value = variable.initial;
  status_ = {};
  running_ = true;
  return {};
}

void Tracing::end(Status::Why why, std::uint64_t tracepoint, std::string text) {
  if (!std::exchange(running_, false)) return;
  status_ = {why, tracepoint, std::move(text)};
  forget_steps();
}

void Tracing::stop() { end(Status::Why::Stopped, 0, notes_.stop); }

// --- What vCPUs do

// What an expression sees of the vCPU, and where what it collects goes.
class Tracing::Collector final : public AgentContext {
 public:
  Collector(Tracing& tracing, Guest& guest) : tracing_(tracing), guest_(guest) {}

  Guest& guest() { return guest_; }
  Result<std::uint64_t> read_register(unsigned number) override {
    return guest_.read_register(number);
  }
  Result<void> read_memory(Gva address, std::span<std::byte> out) override {
    return guest_.read_memory(address, out);
  }
  void print(std::string_view text) override { guest_.print(text); }
  Result<std::int64_t> read_variable(unsigned number) override {
    return tracing_.read_variable(number);
  }
  Result<void> write_variable(unsigned number, std::int64_t value) override {
    return tracing_.write_variable(number, value);
  }
  Result<void> collect_memory(Gva address, std::uint64_t size) override {
    tracing_.collect_memory(guest_, address, size);
    if (!tracing_.writer_.is_too_long()) return {};
    return fail(ErrorCode::BadRequest, "a frame is longer than 1 MiB");
  }
  Result<void> collect_variable(unsigned number) override {
    tracing_.writer_.variable(number, TRY(tracing_.read_variable(number)));
    if (!tracing_.writer_.is_too_long()) return {};
    return fail(ErrorCode::BadRequest, "a frame is longer than 1 MiB");
  }

 private:
  Tracing& tracing_;
  Guest& guest_;
};

Result<std::int64_t> Tracing::read_variable(std::uint64_t number) const {
  const auto found = variables_.find(number);
  if (found == variables_.end())
    return fail(ErrorCode::NotFound, "there is no such trace state variable");
  return found->second.value;
}

Result<void> Tracing::write_variable(std::uint64_t number, std::int64_t value) {
  const auto found = variables_.find(number);
  if (found == variables_.end())
    return fail(ErrorCode::NotFound, "there is no such trace state variable");
  found->second.value = value;
  return {};
}

// What cannot be read is not in the frame, and the client shows it as not available: a pointer that
// leads nowhere is no reason to end the trace.
void Tracing::collect_memory(Guest& guest, Gva address, std::uint64_t size) {
  while (size > 0 && !writer_.is_too_long()) {
    const std::size_t count = std::min<std::uint64_t>(size, kLongestBlock);
    if (!guest.read_memory(address, writer_.memory(address, count))) {
      writer_.drop_memory();
      return;
    }
    address = address + count;
    size -= count;
  }
}

bool Tracing::holds(const Tracepoint& tracepoint, Guest& guest, std::uint64_t& work) {
  if (!tracepoint.condition) return true;
  writer_.begin();
  Collector collector(*this, guest);
  const auto value = evaluate(*tracepoint.condition, collector, {}, &work);
  if (!value) end(Status::Why::Error, tracepoint.number, "condition: " + value.error().text());
  return value && *value != 0;
}

Result<void> Tracing::take(const Action& action, Collector& collector, std::uint64_t& work) {
  switch (action.kind) {
    case Action::Kind::Registers:
      return collector.guest().read_registers(writer_.registers(registers_));
    case Action::Kind::Memory: {
      std::uint64_t address = action.offset;
      if (action.base) {
        if (*action.base > 0xffff) return fail(ErrorCode::BadRequest, "there is no such register");
        address += TRY(collector.read_register(static_cast<unsigned>(*action.base)));
      }
      return collector.collect_memory({address}, action.length);
    }
    case Action::Kind::Expression:
      break;
  }
  const Result<std::uint64_t> done = evaluate(action.code, collector, {}, &work);
  if (!done) return fail(done.error());
  return {};
}

void Tracing::collect(Tracepoint& tracepoint, std::span<const Action> actions, Guest& guest,
                      std::uint64_t& work) {
  writer_.begin();
  Collector collector(*this, guest);
  for (const Action& action : actions) {
    const Result<void> done = take(action, collector, work);
    if (done && !writer_.is_too_long()) continue;
    end(Status::Why::Error, tracepoint.number,
        done ? "a frame is longer than 1 MiB" : "action: " + done.error().text());
    return;
  }
  const std::span<const std::byte> blocks = writer_.blocks();
  // Memory takes time as expressions do.
  work += blocks.size() / 64;
  if (buffer_.add(static_cast<std::uint16_t>(tracepoint.number), blocks, when_full_)) {
    tracepoint.usage += kFrameHeader + blocks.size();
  } else {
    end(Status::Why::Full, 0);
  }
}

void Tracing::check_pass(const Tracepoint& tracepoint) {
  if (tracepoint.pass != 0 && tracepoint.hits >= tracepoint.pass)
    end(Status::Why::PassCount, tracepoint.number);
}

void Tracing::hit(VcpuId vcpu, Gva address, Guest& guest, std::uint64_t& work) {
  const auto [first, last] = by_address_.equal_range(address);
  for (auto it = first; it != last && running_; ++it) {
    Tracepoint& tracepoint = *it->second;
    if (!tracepoint.enabled || !holds(tracepoint, guest, work)) continue;
    ++tracepoint.hits;
    collect(tracepoint, tracepoint.actions, guest, work);
    if (tracepoint.steps == 0) {
      check_pass(tracepoint);
      continue;
    }
    if (!running_) return;
    if (stepping_.size() <= vcpu.value) stepping_.resize(vcpu.value + 1);
    std::vector<Stepping>& list = stepping_[vcpu.value];
    const auto again = std::find_if(list.begin(), list.end(), [&](const Stepping& stepping) {
      return stepping.tracepoint == &tracepoint;
    });
    if (again != list.end()) {
      again->left = tracepoint.steps;
    } else {
      list.push_back({&tracepoint, tracepoint.steps});
    }
  }
}

bool Tracing::steps(VcpuId vcpu) const {
  return running_ && vcpu.value < stepping_.size() && !stepping_[vcpu.value].empty();
}

void Tracing::stepped(VcpuId vcpu, Guest& guest, std::uint64_t& work) {
  if (!steps(vcpu)) return;
  // Its end takes the list away.
  std::vector<Stepping> list = std::exchange(stepping_[vcpu.value], {});
  for (Stepping& stepping : list) {
    if (!running_) return;
    collect(*stepping.tracepoint, stepping.tracepoint->step_actions, guest, work);
    if (--stepping.left == 0) check_pass(*stepping.tracepoint);
  }
  if (!running_) return;
  std::erase_if(list, [](const Stepping& stepping) { return stepping.left == 0; });
  stepping_[vcpu.value] = std::move(list);
}

void Tracing::forget_steps() {
  for (std::vector<Stepping>& list : stepping_)
    list.clear();
}

}  // namespace ringside::debug::trace
