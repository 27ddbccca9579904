// The kinds of journeys. Used by Travels alone.
#pragma once

#include <memory>

#include "time/travels.h"

namespace ringside::time {

class Journeys {
 public:
  using Task = Travels::Task;
  using Arrival = hypervisor::Arrival;
  using Reason = Arrival::Reason;

  static std::unique_ptr<Task> to_place(Travels& travels, const Place& place);
  static std::unique_ptr<Task> back_to_hit(Travels& travels);
  static std::unique_ptr<Task> back_to_write(Travels& travels, Gpa address, std::uint64_t size);
  static std::unique_ptr<Task> back_a_step(Travels& travels, VcpuId vcpu);
  static std::unique_ptr<Task> forward(Travels& travels, const hypervisor::Journey& journey);

 private:
  class Base;
  class ToPlace;
  class BackToHit;
  class BackAStep;
  class Forward;
};

}  // namespace ringside::time
