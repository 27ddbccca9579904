#include "engine/kvm/entry/handover.h"

#include <chrono>

namespace ringside::kvm {

bool Handover::give() {
  const Lock held = lock();
  if (!alive_ || given_) return false;
  given_ = true;
  place_ = Place::InGuest;
  requests_.suspend = false;
  return true;
}

bool Handover::ask_back() {
  const Lock held = lock();
  if (place_ != Place::InGuest) return false;
  requests_.suspend = true;
  return true;
}

void Handover::await_out() {
  Lock held = lock();
  wait_for(held, std::chrono::seconds(1), [&] { return place_ == Place::Out || !alive_; });
}

void Handover::give_back(const Lock&) {
  place_ = Place::Out;
  requests_.suspend = false;
}

}  // namespace ringside::kvm
