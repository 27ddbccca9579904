#include "cli/monitor/linux_code.h"

#include <algorithm>
#include <unordered_map>
#include <utility>
#include <vector>

#include "guests/linux/linux_kernel.h"
#include "guests/linux/modules.h"

namespace ringside::cli {
namespace {

using guests::LinuxKernel;

class LinuxCode final : public profile::GuestCode {
 public:
  explicit LinuxCode(hypervisor::Vm& vm) : vm_(vm) {}

  // Until it is found, each time after as many instructions as there were before, within bounds:
  // to look takes some milliseconds.
  void look(InsnCount now) override {
    if (now < next_look_) return;
    constexpr std::uint64_t kSoon = 50'000, kLate = 5'000'000;
    if (auto kernel = LinuxKernel::find(vm_)) {
      kernel_ = *std::move(kernel);
      places_.clear();
      modules_.clear();
      next_look_ = {now.value * 2 + kLate};
    } else {
      next_look_ = {now.value + std::clamp(now.value / 16, kSoon, kLate)};
    }
    now_ = now;
  }

  std::optional<Place> place_of(Gva address) override {
    if (kernel_ == nullptr || address < kernel_->lowest()) return std::nullopt;
    const auto known = places_.find(address.value);
    if (known != places_.end()) return known->second;
    constexpr std::size_t kMost = 500'000;
    if (places_.size() >= kMost) places_.clear();
    return places_[address.value] = find_place(address);
  }

  bool is_known_code(Gva address) override {
    if (kernel_ == nullptr || address < kernel_->lowest()) return false;
    return is_kernels(address) || module_of(address) != nullptr;
  }

  // Of tasks and of interrupts, whose stacks are as large.
  std::optional<Gva> stack_end(Gva address) override {
    if (kernel_ == nullptr || address < kernel_->lowest()) return std::nullopt;
    return Gva{(address.value | (kernel_->stack_size() - 1)) + 1};
  }

  std::optional<Task> task_of(VcpuId vcpu) override {
    if (kernel_ == nullptr || !kernel_->tasks()) return std::nullopt;
    const auto running = kernel_->running(vcpu);
    if (!running) return std::nullopt;
    constexpr std::size_t kCommSize = 16;  // TASK_COMM_LEN
    const guests::TaskLayout& layout = *kernel_->tasks();
    const auto pid = kernel_->memory().get<std::uint32_t>(running->task + layout.pid.offset);
    auto name = kernel_->memory().text(running->task + layout.comm.offset, kCommSize);
    if (!pid || !name || name->empty()) return std::nullopt;
    std::ranges::replace(*name, ' ', '_');
    return Task{*std::move(name), *pid};
  }

 private:
  bool is_kernels(Gva address) {
    if (kernel_->is_text(address)) return true;
    if (!std::exchange(knows_start_, true)) {
      start_ = kernel_->symbol("_sinittext").value_or(Gva{});
      start_end_ = kernel_->symbol("_einittext").value_or(Gva{});
    }
    return address >= start_ && address < start_end_;
  }

  const guests::Module* module_of(Gva address) {
    if (is_kernels(address)) return nullptr;
    const auto find = [&] {
      const auto has = [&](const guests::Module& module) {
        return address >= module.base && address.value - module.base.value < module.size;
      };
      const auto found = std::ranges::find_if(modules_, has);
      return found == modules_.end() ? nullptr : &*found;
    };
    const guests::Module* const known = find();
    if (known != nullptr || looked_for_modules_ == next_look_) return known;
    looked_for_modules_ = next_look_;
    if (auto list = list_modules(*kernel_)) modules_ = std::move(list->modules);
    return find();
  }

  // A module's functions are not in the kernel's table: they all have the module's name.
  std::optional<Place> find_place(Gva address) {
    if (const guests::Module* module = module_of(address))
      return Place{module->name, module->base, module->name};
    if (!is_kernels(address)) return std::nullopt;
    auto place = kernel_->symbols().place_of(address);
    if (!place) return std::nullopt;
    std::ranges::replace(place->name, ' ', '_');
    return Place{std::move(place->name), address - place->offset, "kernel"};
  }

  hypervisor::Vm& vm_;
  std::shared_ptr<const LinuxKernel> kernel_;
  InsnCount next_look_, now_, looked_for_modules_;
  bool knows_start_ = false;
  Gva start_, start_end_;  // the code that runs once, in .init.text
  std::vector<guests::Module> modules_;
  std::unordered_map<std::uint64_t, std::optional<Place>> places_;
};

}  // namespace

std::unique_ptr<profile::GuestCode> linux_code(hypervisor::Vm& vm) {
  return std::make_unique<LinuxCode>(vm);
}

}  // namespace ringside::cli
