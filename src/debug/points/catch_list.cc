#include "debug/points/catch_list.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"

namespace ringside::debug {
namespace {

// More than anybody sets; each hit looks at all of them.
constexpr std::size_t kMost = 100;

}  // namespace

bool RegisterTest::holds(std::uint64_t current) const {
  switch (comparison) {
    case Comparison::Equal:
      return current == value;
    case Comparison::NotEqual:
      return current != value;
    case Comparison::Below:
      return current < value;
    case Comparison::NotAbove:
      return current <= value;
    case Comparison::Above:
      return current > value;
    case Comparison::NotBelow:
      break;
  }
  return current >= value;
}

bool CatchList::has(const hypervisor::exit::Caught& what) const {
  return std::any_of(list_.begin(), list_.end(),
                     [&](const Entry& entry) { return entry.wanted.is_for(what); });
}

bool CatchList::hit(VcpuId vcpu, const hypervisor::exit::Caught& what) {
  bool stop = false;
  for (Entry& entry : list_) {
    if (!entry.wanted.is_for(what)) continue;
    entry.hits.reach(vcpu);
    if (entry.condition) {
      const auto current = vm_.vcpu(vcpu).read_register(entry.condition->name);
      if (current && !entry.condition->holds(current->as_u64())) continue;
    }
    ++entry.hits.counted;
    stop = true;
  }
  return stop;
}

Result<unsigned> CatchList::insert(const hypervisor::Catch& wanted,
                                   const std::optional<RegisterTest>& condition) {
  hypervisor::Catches* const engine = vm_.catches();
  if (engine == nullptr || !engine->offers(wanted.kind))
    return fail(ErrorCode::NotSupported, "this engine does not catch that");
  if (list_.size() >= kMost)
    return fail(ErrorCode::BadRequest,
                fmt::format("there are {} catches already, which is the most", kMost));
  TRY(engine->insert_catch(wanted));
  list_.push_back({++last_, wanted, condition, {}});
  return last_;
}

Result<void> CatchList::take_out(const Entry& entry) {
  return vm_.catches()->remove_catch(entry.wanted);
}

Result<void> CatchList::remove(unsigned number) {
  const auto found = std::find_if(list_.begin(), list_.end(),
                                  [&](const Entry& entry) { return entry.number == number; });
  if (found == list_.end()) return fail(ErrorCode::NotFound, "there is no catch of this number");
  TRY(take_out(*found));
  list_.erase(found);
  return {};
}

void CatchList::remove_all() {
  for (const Entry& entry : list_) {
    const Result<void> removed = take_out(entry);
    if (!removed) log::warning("a catch stays behind: {}", removed.error().text());
  }
  list_.clear();
  last_ = 0;
}

}  // namespace ringside::debug
