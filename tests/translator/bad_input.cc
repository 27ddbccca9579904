#include "translator/bad_input.h"

#include <cstring>

#include "translator/code_writer.h"
#include "translator/stage.h"

namespace ringside::testing {
namespace {

// A stage whose code is written from its beginning on.
struct Draft {
  explicit Draft(const char* name, Setting setting = Setting::Kernel64)
      : scene(make_stage(setting)), code(scene.memory, mode_of(setting), stage::kCode) {
    scene.name = name;
    scene.entry.rip = stage::kCode;
    scene.entry.rflags &= ~std::uint64_t{x86::rflags::IF};
  }
  void jump_to(std::uint64_t target) {
    const auto distance = code.jump();
    code.set_target(distance, target);
  }
  // xor byte [entry + 1], 0x10: the page at stage::kMoving is another one, for who asks the tables.
  void move_page() { code.xor8(stage::kPageTable + stage::kMoving / kPageSize * 8 + 1, 0x10); }
  // invlpg [moving]
  void flush_page() {
    code.bytes({0x0f, 0x01, 0x3c, 0x25});
    code.number(stage::kMoving, 4);
  }
  Scene scene;
  CodeWriter code;
};

constexpr std::uint8_t kIncOrDec = 8;  // the bit in which INC and DEC of a register differ

// xor byte [next instruction], 8; inc eax … inc edi, again and again
Scene rewrite_next(const char* name, std::uint64_t alias) {
  Draft draft(name);
  for (unsigned i = 0; i < 300; ++i) {
    const std::uint64_t place = draft.code.xor8(0, kIncOrDec);
    draft.code.set_address(place, draft.code.at() + 1 - stage::kCode + alias);
    draft.code.bytes({0xff, static_cast<std::uint8_t>(0xc0 | i % 4)});
  }
  draft.jump_to(stage::kCode);
  return std::move(draft.scene);
}

void set_word(Scene& scene, std::uint64_t at, std::uint64_t value) {
  std::memcpy(&scene.memory[at], &value, 8);
}

}  // namespace

Scene rewrites_the_next_instruction() {
  return rewrite_next("rewrites the next instruction", stage::kCode);
}

Scene rewrites_by_another_address() {
  return rewrite_next("rewrites by another address", stage::kCodeAlias);
}

Scene rewrites_itself() {
  Draft draft("rewrites itself");
  for (unsigned i = 0; i < 100; ++i) {
    // add byte [its own immediate], immediate
    draft.code.bytes({0x80, 0x04, 0x25});
    draft.code.number(draft.code.at() + 4, 4);
    draft.code.bytes({static_cast<std::uint8_t>(i | 1)});
    draft.code.bytes({0x01, 0xc8});  // add eax, ecx
  }
  draft.jump_to(stage::kCode);
  return std::move(draft.scene);
}

Scene fills_its_own_code() {
  Draft draft("fills its own code");
  constexpr std::uint64_t kCopy = stage::kData, kPlace = stage::kCode + 0x400, kSize = 64;
  // The code that is destroyed: mov ecx, 40; mov al, 0x90; lea rdi, [own start]; rep stosb; inc ebx
  // …; jmp back.
  CodeWriter victim(draft.scene.memory, CodeMode::Code64, kPlace);
  victim.load(1, 40);
  victim.bytes({0xb0, 0x90});
  victim.load(7, kPlace);
  victim.bytes({0xf3, 0xaa});
  while (victim.at() < kPlace + kSize - 5)
    victim.bytes({0xff, 0xc3});
  victim.move_to(kPlace + kSize - 5);
  victim.set_target(victim.jump(), stage::kCode);
  std::memcpy(&draft.scene.memory[kCopy], &draft.scene.memory[kPlace], kSize);
  draft.code.load(6, kCopy);  // mov esi, copy; mov edi, place; mov ecx, size; rep movsb; jmp
  draft.code.load(7, kPlace);
  draft.code.load(1, kSize);
  draft.code.bytes({0xf3, 0xa4});
  draft.jump_to(kPlace);
  return std::move(draft.scene);
}

Scene halves_rewrite_each_other() {
  Draft draft("halves rewrite each other");
  constexpr std::uint64_t kOther = stage::kCode + 0x200;
  for (const std::uint64_t half : {stage::kCode, kOther}) {
    const std::uint64_t other = half == kOther ? stage::kCode : kOther;
    CodeWriter code(draft.scene.memory, CodeMode::Code64, half);
    // Each pair lies at the same offset in both halves.
    for (unsigned i = 0; i < 20; ++i) {
      const std::uint64_t offset = code.at() - half;
      code.xor8(other + offset + 9, kIncOrDec);
      code.bytes({0xff, static_cast<std::uint8_t>(0xc0 | i % 4)});
    }
    code.set_target(code.jump(), other);
  }
  return std::move(draft.scene);
}

Scene jumps_into_the_middle() {
  Draft draft("jumps into the middle");
  constexpr std::uint64_t kSled = stage::kCode + 0x300;
  // add ebx, 7; mov eax, ebx; and eax, 63; add eax, sled; jmp rax
  draft.code.bytes({0x83, 0xc3, 0x07, 0x89, 0xd8, 0x83, 0xe0, 0x3f, 0x05});
  draft.code.number(kSled, 4);
  draft.code.bytes({0xff, 0xe0});
  // What comes round from an odd byte is other code: add eax, 0x01c001c0 has `rol byte [rcx], 1`
  // and `add eax, eax` in it, and so on.
  CodeWriter sled(draft.scene.memory, CodeMode::Code64, kSled);
  while (sled.at() < kSled + 64)
    sled.bytes({0x05, 0x01, 0xc1, 0x01, 0xd1});
  for (unsigned i = 0; i < 8; ++i)
    sled.bytes({0x90});
  sled.set_target(sled.jump(), stage::kCode);
  return std::move(draft.scene);
}

Scene thousands_of_pages() {
  Draft draft("thousands of pages");
  constexpr std::uint64_t kFirst = 4u << 20, kPages = 4096, kStep = 1597;
  draft.scene.memory.resize(kFirst + kPages * kPageSize);
  constexpr std::uint64_t kDirectory = 0x3000, kLarge = 2u << 20;
  for (std::uint64_t i = 1; i < draft.scene.memory.size() / kLarge; ++i)
    set_word(draft.scene, kDirectory + 8 * i, i * kLarge | 0x87);
  for (std::uint64_t i = 0; i < kPages; ++i) {
    CodeWriter code(draft.scene.memory, CodeMode::Code64, kFirst + i * kPageSize);
    for (std::uint64_t length = 0; length < 4 + i % 9; ++length)
      code.bytes({0x01, static_cast<std::uint8_t>(0xc0 | (i + length) % 64)});  // add
    code.bytes({0x48, 0xc7, 0xc4});  // mov rsp, …, which the additions may have changed
    code.number(stage::kKernelStack, 4);
    code.set_target(code.jump(), kFirst + (i + kStep) % kPages * kPageSize);
  }
  draft.jump_to(kFirst);
  return std::move(draft.scene);
}

Scene walks_through_blocks() {
  Draft draft("walks through blocks");
  constexpr std::uint64_t kSize = 32, kInPage = kPageSize / kSize;
  std::uint64_t mixed = 1;
  const auto next = [&] { return mixed = mixed * 6364136223846793005 + 1442695040888963407; };
  for (std::uint64_t page = 0; page < stage::kCodePages; ++page) {
    const std::uint64_t start = stage::kCode + page * kPageSize;
    for (std::uint64_t i = 0; i < kInPage; ++i) {
      CodeWriter code(draft.scene.memory, CodeMode::Code64, start + i * kSize);
      code.bytes({0x69, 0xc0, 0xb1, 0x79, 0x37, 0x9e});  // imul eax, eax, odd
      code.bytes({0xff, 0xc0, 0xa9});                    // inc eax; test eax, mask
      code.number(std::uint64_t{1} << (16 + (next() >> 40) % 16), 4);
      code.set_target(code.jump_if(4 + i % 2), start + (next() >> 40) % kInPage * kSize);
      // To the next page, now and then.
      const std::uint64_t target =
          i % 16 == 0 ? stage::kCode + (page + 1) % stage::kCodePages * kPageSize : start;
      code.set_target(code.jump(), target + (next() >> 40) % kInPage * kSize);
    }
  }
  return std::move(draft.scene);
}

Scene traps_for_ever() {
  Draft draft("traps for ever", Setting::User64);
  draft.scene.entry.rflags |= x86::rflags::TF;
  // The handler counts, and lets TF be.
  CodeWriter handler(draft.scene.memory, CodeMode::Code64, stage::kHandlers + 16);
  handler.bytes({0x48, 0xff, 0x04, 0x25});  // inc qword [counter]
  handler.number(stage::kCounters + 8, 4);
  handler.bytes({0x48, 0xcf});  // IRETQ
  for (unsigned i = 0; i < 40; ++i)
    draft.code.bytes({0x01, static_cast<std::uint8_t>(0xc0 | i % 8)});
  draft.jump_to(stage::kCode);
  return std::move(draft.scene);
}

Scene interrupts_for_ever() {
  Draft draft("interrupts for ever", Setting::User64);
  draft.scene.entry.rflags |= x86::rflags::IF;
  // The handler arms the next one: push rax; mov al, n; out 0x80, al; pop rax; iretq.
  CodeWriter handler(draft.scene.memory, CodeMode::Code64, stage::kHandlers + 16 * 0x21);
  handler.bytes({0x50, 0xb0, 0x0b, 0xe6, 0x80, 0x58, 0x48, 0xcf});
  draft.scene.alarms.push_back({Alarm::Kind::Interrupt, {100}, 0x21});
  for (unsigned i = 0; i < 40; ++i)
    draft.code.bytes({0x01, static_cast<std::uint8_t>(0xc0 | i % 8)});
  draft.jump_to(stage::kCode);
  return std::move(draft.scene);
}

Scene moves_its_code() {
  Draft draft("moves its code");
  for (unsigned i = 0; i < 2; ++i) {
    CodeWriter place(draft.scene.memory, CodeMode::Code64, stage::kMovingPlace + i * kPageSize);
    for (unsigned length = 0; length < 6; ++length)
      place.bytes({0xff, static_cast<std::uint8_t>(0xc0 | 8 * i | length % 4)});
    place.bytes({0xc3});
  }
  for (const bool flush : {true, true, false}) {
    draft.move_page();
    if (flush) draft.flush_page();
    draft.code.set_target(draft.code.call(), stage::kMoving);
  }
  draft.jump_to(stage::kCode);
  return std::move(draft.scene);
}

Scene moves_code_that_returns_within() {
  Draft draft("moves code that returns within its page");
  for (unsigned i = 0; i < 2; ++i) {
    // call inner; inc or dec eax; ret; inner: inc or dec ecx; ret
    CodeWriter place(draft.scene.memory, CodeMode::Code64, stage::kMovingPlace + i * kPageSize);
    const auto inner = place.call();
    place.bytes({0xff, static_cast<std::uint8_t>(0xc0 | 8 * i), 0xc3});
    place.set_target(inner, place.at());
    place.bytes({0xff, static_cast<std::uint8_t>(0xc1 | 8 * i), 0xc3});
  }
  draft.move_page();
  draft.flush_page();
  draft.code.set_target(draft.code.call(), stage::kMoving);
  draft.jump_to(stage::kCode);
  return std::move(draft.scene);
}

Scene rounds_round_slow_accesses() {
  Draft draft("rounds round slow accesses");
  draft.scene.entry.fpu.mxcsr |= 0x4000;  // up
  // cvtsi2sd xmm0, ecx; mov [register], eax; divsd xmm1, xmm0; addsd xmm2, xmm1; inc ecx
  draft.code.bytes({0xf2, 0x0f, 0x2a, 0xc1});
  draft.code.bytes({0x89, 0x04, 0x25});
  draft.code.number(stage::kRegisters, 4);
  draft.code.bytes({0xf2, 0x0f, 0x5e, 0xc8, 0xf2, 0x0f, 0x58, 0xd1, 0xff, 0xc1});
  draft.jump_to(stage::kCode);
  draft.scene.entry.gpr[1] = 3;
  const double one = 1;
  std::memcpy(draft.scene.entry.fpu.vector[1].data(), &one, sizeof one);
  return std::move(draft.scene);
}

Scene faults_for_ever() {
  Draft draft("faults for ever", Setting::User64);
  // The handlers go on at the next of these, each of which faults in the midst of its block.
  constexpr std::uint64_t kPiece = 16;
  for (unsigned i = 0; i < stage::kResumes; ++i) {
    const std::uint64_t start = stage::kCode + i * kPiece;
    draft.code.move_to(start);
    draft.code.bytes({0x01, 0xc8});  // add eax, ecx
    switch (i % 4) {
      case 0:
        draft.code.store8(stage::kAbsent, 1);
        break;
      case 1:
        draft.code.store8(stage::kReadOnly, 1);
        break;
      case 2:
        draft.code.bytes({0x31, 0xc9, 0xf7, 0xf1});  // xor ecx, ecx; div ecx
        break;
      default:
        draft.code.bytes({0x0f, 0x0b});  // UD2
        break;
    }
    draft.code.bytes({0x01, 0xc8});
    set_resume(draft.scene, i, start);
  }
  return std::move(draft.scene);
}

const std::vector<BadInput>& all_bad_inputs() {
  static const std::vector<BadInput> all = {
      {"RewritesTheNextInstruction", rewrites_the_next_instruction, 40'000},
      {"RewritesByAnotherAddress", rewrites_by_another_address, 40'000},
      {"RewritesItself", rewrites_itself, 40'000},
      {"FillsItsOwnCode", fills_its_own_code, 100'000},
      {"HalvesRewriteEachOther", halves_rewrite_each_other, 100'000},
      {"JumpsIntoTheMiddle", jumps_into_the_middle, 100'000},
      {"ThousandsOfPages", thousands_of_pages, 200'000},
      {"WalksThroughBlocks", walks_through_blocks, 3'000'000},
      {"TrapsForEver", traps_for_ever, 100'000},
      {"InterruptsForEver", interrupts_for_ever, 100'000},
      {"MovesItsCode", moves_its_code, 100'000},
      {"MovesCodeThatReturnsWithin", moves_code_that_returns_within, 40'000},
      {"RoundsRoundSlowAccesses", rounds_round_slow_accesses, 40'000},
      {"FaultsForEver", faults_for_ever, 100'000},
  };
  return all;
}

}  // namespace ringside::testing
