-- Reasons of the channel inflated_bill: the bill against the peers' median, and against the claim's own tariff where it
-- is above that, or just that (then the tariff is what to check), its top-ups added to both. Peers of other INA-CBGs
-- (price_level 3 and 4) and such as it does not exceed are not named. Grain: one row per claim. Input: suspects.
WITH described AS (
    SELECT
        *,
        price_median + topup_amount AS usual,
        -- What makes the peers of its price alike (claims_normalized/42_price_peers.sql).
        if(
            price_level = 1,
            concat_ws(
                ', ',
                inacbg_code,
                facility_class,
                coalesce('kelas rawat ' || ward_class, 'tanpa kelas rawat'),
                coalesce('regional ' || tariff_region, 'tanpa regional')
            ),
            inacbg_code
        ) AS peers_id,
        if(
            price_level = 1,
            concat_ws(
                ', ',
                inacbg_code,
                facility_class,
                coalesce('ward class ' || ward_class, 'no ward class'),
                coalesce('region ' || tariff_region, 'no region')
            ),
            inacbg_code
        ) AS peers_en,
        coalesce(tariff_ln_ratio > 0.01, FALSE) AS above_tariff,
        coalesce(amount_claimed = inacbg_tariff + topup_amount, FALSE) AS at_tariff,
        price_level <= 2 AND amount_claimed > 1.01 * usual AS against_peers,
        -- As above_id and above_en write it: a percentage is not "=".
        if(
            if(against_peers, amount_claimed < 1.1 * usual, exp(tariff_ln_ratio) < 1.1), ', ', ' = '
        ) AS is_so,
        tariff_ln_ratio - factors_count * own_tariff_ln_ratio > 0.01
        OR amount_claimed >= 1.1 * (price_median * exp(own_ln_ratio) + topup_amount) AS is_far
    FROM suspects
    WHERE surprise_inflated_bill >= $reason_from
),

phrased AS (
    SELECT
        *,
        format(
            '{}median {} klaim sejenis ({}{}){}',
            above_id(amount_claimed, usual),
            count_id(price_n),
            peers_id,
            if(price_level = 1, '', '; disesuaikan kelas dan regionalnya')
            || CASE
                WHEN own_ln_ratio <= 0.01 OR factors_count BETWEEN 0.001 AND 0.999 THEN ''
                WHEN factors_count = 0
                    THEN
                        '; tarif faskes ini biasanya, atau sekitar bulan itu, ' || above_id(exp(own_ln_ratio), 1)
                        || 'median'
                ELSE '; tagihan faskes ini biasanya ' || above_id(exp(own_ln_ratio), 1) || 'median'
            END,
            if(topup_amount > 0, format(' ditambah top-up ({})', rupiah_id(usual)), '')
        ) AS by_peers_id,
        format(
            '{}the median of {} similar claims ({}{}){}',
            above_en(amount_claimed, usual),
            count_en(price_n),
            peers_en,
            if(price_level = 1, '', '; adjusted to its class and region')
            || CASE
                WHEN own_ln_ratio <= 0.01 OR factors_count BETWEEN 0.001 AND 0.999 THEN ''
                WHEN factors_count = 0
                    THEN
                        '; this facility''s tariff is usually, or about that month, ' || above_en(exp(own_ln_ratio), 1)
                        || 'it'
                ELSE '; this facility usually bills ' || above_en(exp(own_ln_ratio), 1) || 'it'
            END,
            if(topup_amount > 0, format(' plus top-ups ({})', rupiah_en(usual)), '')
        ) AS by_peers_en,
        format(
            'tarif INA-CBG-nya sendiri{} ({}{})',
            if(topup_amount > 0, ' dan top-up', ''),
            rupiah_id(inacbg_tariff + topup_amount),
            if(
                own_tariff_ln_ratio > 0.01,
                '; tagihan faskes ini biasanya ' || above_id(exp(own_tariff_ln_ratio), 1) || 'tarifnya',
                ''
            )
        ) AS own_tariff_id,
        above_id(exp(tariff_ln_ratio), 1) || own_tariff_id AS by_tariff_id,
        format(
            'its own INA-CBG tariff{} ({}{})',
            if(topup_amount > 0, ' and top-ups', ''),
            rupiah_en(inacbg_tariff + topup_amount),
            if(
                own_tariff_ln_ratio > 0.01,
                '; this facility usually bills ' || above_en(exp(own_tariff_ln_ratio), 1) || 'its tariff',
                ''
            )
        ) AS own_tariff_en,
        above_en(exp(tariff_ln_ratio), 1) || own_tariff_en AS by_tariff_en,
        -- Counted in standard deviations, not by the ratios told before.
        is_far AND is_rare(bill_as_far / bill_n) AS tells_share,
        if(
            tells_share,
            format(
                '; hanya {} dari {} klaim {} {} menyimpang sejauh ini ke atas, menurut sebarannya',
                count_id(bill_as_far),
                count_id(bill_n),
                service_type,
                inacbg_code
            ),
            ''
        ) AS how_usual_id,
        if(
            tells_share,
            format(
                '; only {} of {} {} claims with {} {} as far upwards, by their spread',
                count_en(bill_as_far),
                count_en(bill_n),
                service_type,
                inacbg_code,
                plural_en(bill_as_far, 'deviates', 'deviate')
            ),
            ''
        ) AS how_usual_en
    FROM described
)

SELECT
    claim_id,
    'inflated_bill' AS code,
    surprise_inflated_bill AS strength,
    is_far AS telling,
    format('tagihan {}{}', rupiah_id(amount_claimed), is_so)
    || CASE
        WHEN NOT against_peers THEN by_tariff_id
        WHEN NOT above_tariff THEN by_peers_id || if(at_tariff, ', sama dengan ' || own_tariff_id, '')
        ELSE by_peers_id || ', ' || by_tariff_id
    END
    || how_usual_id || habit_id('inflated_bill', habit_pattern, habit_observed, habit_expected) AS text_id,
    format('billed {}{}', rupiah_en(amount_claimed), is_so)
    || CASE
        WHEN NOT against_peers THEN by_tariff_en
        WHEN NOT above_tariff THEN by_peers_en || if(at_tariff, ', equal to ' || own_tariff_en, '')
        ELSE by_peers_en || ', ' || by_tariff_en
    END
    || how_usual_en || habit_en('inflated_bill', habit_pattern, habit_observed, habit_expected) AS text_en,
    with_habit(
        json_object(
            'amount_claimed', amount_claimed, 'price_median', price_median, 'price_n', price_n,
            'price_level', price_level, 'inacbg_tariff', inacbg_tariff, 'topup_amount', topup_amount,
            'excess_amount', excess_amount,
            'own_tariffs_ratio', exp(own_ln_ratio), 'own_factor', exp(own_tariff_ln_ratio),
            'bill_as_far', bill_as_far, 'bill_n', bill_n
        ),
        'inflated_bill', habit_pattern, habit_observed, habit_expected
    ) AS figures
FROM phrased
